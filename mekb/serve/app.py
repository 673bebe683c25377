"""The server as an ASGI application: `create_app(bundle, settings)`."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.types import ASGIApp

from mekb.serve.desk import Desk
from mekb.serve.guard import Guard
from mekb.serve.hosting import Host, Reloader
from mekb.serve.problems import HANDLERS
from mekb.serve.routes import router
from mekb.serve.settings import ServeSettings

DESCRIPTION = (
    "Recommends to people a service has never seen, from what they liked, their interests or their own words,"
    " and says why, down to the characters. Every failure is one line of problem+json."
)


def create_app(
    bundle: str | Path,
    settings: ServeSettings | None = None,
    pages: Mapping[str, ASGIApp] | None = None,
) -> FastAPI:
    """Return the server of a bundle.

    Args:
        bundle: Its folder; it is opened now, and may be replaced later.
        settings: Limits, and the token.
        pages: Path -> application that shows it, such as static files; they hold no data, so they need no token.
            "/" leads to the first.

    Returns:
        An application whose `state` has `host` (the bundle served), `desk` (who works) and `reloader`.

    Raises:
        BundleError: the bundle is not whole; the part is named.
    """
    chosen = settings or ServeSettings()
    host = Host(Path(bundle), chosen)
    app = FastAPI(
        title="mekb",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # their scripts come from other servers
        redoc_url=None,
        lifespan=_lifespan,
    )
    for error, handler in HANDLERS.items():
        app.add_exception_handler(error, handler)
    app.state.host = host
    app.state.desk = Desk(host, chosen)
    app.state.reloader = Reloader(host, chosen.watch_seconds)
    app.state.is_open = True
    app.include_router(router)
    for path, page in (pages or {}).items():
        app.mount(path, page)
    if pages:
        app.add_api_route("/", _leading_to(next(iter(pages))), include_in_schema=False)
    app.add_middleware(Guard, settings=chosen, open_prefixes=tuple(pages or ()))
    return app


def _leading_to(path: str) -> Callable[[], RedirectResponse]:
    """Return the route of whoever opens the address itself: to the first page, wherever a proxy puts it."""
    return lambda: RedirectResponse(f"{path.strip('/')}/")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Look for new bundles while the server runs; end when all requests have ended."""
    app.state.reloader.start()
    yield
    app.state.is_open = False
    app.state.reloader.close()
    app.state.desk.close()
    app.state.host.close()
