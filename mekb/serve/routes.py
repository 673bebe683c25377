"""The routes: which question stands where, and how it can end."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from mekb.errors import UnknownError
from mekb.serve import answers, messages
from mekb.serve.desk import Desk
from mekb.serve.hosting import Served
from mekb.serve.problems import ProblemError, documented

MAX_LISTED = 200
_ALWAYS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
ASKED = documented(
    *_ALWAYS,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
"""How a question with a body can end, beside well."""
LOOKED_UP = documented(*_ALWAYS, HTTPStatus.NOT_FOUND)

router = APIRouter()

EntityId = Annotated[int, Path(ge=1, le=2**32 - 1)]
Beginning = Annotated[str, Query(min_length=1, max_length=200, description="How a title begins.")]
Limit = Annotated[int, Query(ge=1, le=MAX_LISTED)]


def _desk(request: Request) -> Desk:
    desk = request.app.state.desk
    assert isinstance(desk, Desk)
    return desk


@router.post("/recommend", response_model=messages.Recommendations, responses=ASKED)
async def recommend(request: Request, question: messages.RecommendQuestion) -> Response:
    """Recommend items of the target domain, each with the interests that carried it and their evidence."""
    return await _desk(request).answer(partial(answers.recommend, asked=question))


@router.post("/profile", response_model=messages.Profile, responses=ASKED)
async def profile(request: Request, question: messages.ProfileQuestion) -> Response:
    """Say which interests a history, names or a text come to, each with its evidence."""
    return await _desk(request).answer(partial(answers.profile, asked=question))


@router.post("/explain", response_model=messages.Explanation, responses=ASKED)
async def explain(request: Request, question: messages.ExplainQuestion) -> Response:
    """Say what each interest gives to one item, whether it is recommended or not."""
    return await _desk(request).answer(partial(answers.explain, asked=question))


@router.post("/link", response_model=messages.Links, responses=ASKED)
async def link(request: Request, question: messages.LinkQuestion) -> Response:
    """Find the entities a text mentions, by the alias dictionary of the bundle."""
    return await _desk(request).answer(partial(answers.link, asked=question))


@router.get("/entities", response_model=messages.Entities, responses=LOOKED_UP)
async def entities(request: Request, q: Beginning, limit: Limit = 10) -> Response:
    """Find entities that items hold by the beginning of their title: what may be added to a profile."""
    return await _desk(request).answer(
        lambda served: answers.entities(served, beginning=q, limit=limit)
    )


@router.get("/items", response_model=messages.Items, responses=LOOKED_UP)
async def items(request: Request, q: Beginning, limit: Limit = 10) -> Response:
    """Find items of any domain by the beginning of their title: what may stand in a history."""
    return await _desk(request).answer(
        lambda served: answers.items(served, beginning=q, limit=limit)
    )


@router.get(
    "/entities/{entity_id}/neighbours", response_model=messages.Neighbours, responses=LOOKED_UP
)
async def neighbours(request: Request, entity_id: EntityId, limit: Limit = 50) -> Response:
    """List what stands one relation away from an entity."""

    def listed(served: Served) -> messages.Neighbours:
        try:
            return answers.neighbours(served, entity_id, limit)
        except UnknownError as error:
            raise ProblemError(HTTPStatus.NOT_FOUND, str(error)) from error

    return await _desk(request).answer(listed)


@router.get("/bundle", response_model=messages.BundleFacts, responses=LOOKED_UP)
async def bundle(request: Request) -> Response:
    """Say what is served."""
    return await _desk(request).answer(answers.facts)


@router.get("/health", responses=documented(HTTPStatus.MISDIRECTED_REQUEST))
async def health() -> messages.State:
    """Say that the process is alive."""
    return messages.State(status="alive")


@router.get(
    "/ready", responses=documented(HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE)
)
async def ready(request: Request) -> messages.State:
    """Say whether questions are answered; 503 while the server ends."""
    if not request.app.state.is_open:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "the server is ending")
    return messages.State(status="ready")
