"""What goes wrong, as one line of problem+json (RFC 9457): no traceback, no path, nothing of the server's inside.

400 not JSON       401 token        404 no such thing    405 method      408 sent too slowly    413 too long
415 no JSON        421 host name    422 not understood   500 our fault   503 too busy           504 took too long
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeAlias

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from mekb.errors import UnknownError
from mekb.serve.messages import Problem

MEDIA_TYPE = "application/problem+json"
MAX_DETAIL = 400
"""Characters: a line, not a copy of the question."""
RETRY_SECONDS = 1
Handler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]


class ProblemError(Exception):
    """Ends a request with a status and one line."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def too_busy() -> ProblemError:
    """Return the answer to one request more than there is room for."""
    detail = "too many requests at once; come back later"
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": str(RETRY_SECONDS)})


def problem_response(
    status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return one line as problem+json."""
    line = " ".join(detail.split())[:MAX_DETAIL]
    problem = Problem(title=status.phrase, status=status.value, detail=line)
    # ASCII, so that whatever characters a question held can be sent back.
    content = json.dumps(problem.model_dump()).encode("ascii")
    return Response(content, status.value, dict(headers or {}), MEDIA_TYPE)


async def on_problem(_: Request, error: Exception) -> Response:
    """Answer what we refused ourselves."""
    assert isinstance(error, ProblemError)
    return problem_response(error.status, error.detail, error.headers)


async def on_unknown(_: Request, error: Exception) -> Response:
    """Answer a question that names what is not there."""
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


async def on_timeout(_: Request, __: Exception) -> Response:
    """Answer what took too long."""
    return problem_response(HTTPStatus.GATEWAY_TIMEOUT, "it took too long and was given up")


async def on_invalid(_: Request, error: Exception) -> Response:
    """Answer a question that breaks its shape: the first place, and how many more."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(one["type"] == "json_invalid" for one in errors):
        return problem_response(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {_reason(errors)}")
    further = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, _told(errors[0]) + further)


async def on_http(_: Request, error: Exception) -> Response:
    """Answer what the framework refused: no such path, no such method, a body that cannot be parsed."""
    assert isinstance(error, HTTPException)
    return problem_response(HTTPStatus(error.status_code), str(error.detail), error.headers)


HANDLERS: Mapping[type[Exception], Handler] = {
    ProblemError: on_problem,
    UnknownError: on_unknown,
    TimeoutError: on_timeout,
    RequestValidationError: on_invalid,
    HTTPException: on_http,
}


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of these answers."""
    schema = Problem.model_json_schema()
    return {
        status.value: {"description": status.phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def _told(error: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return f"there is no '{where}'"
    return f"'{where}': {error['msg']}"


def _reason(errors: Sequence[Mapping[str, Any]]) -> str:
    return str(errors[0].get("ctx", {}).get("error", ""))
