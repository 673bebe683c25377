"""The page on a server: its files below /page, with a policy that lets the page run and ask its own server, no more.

    mekb.serve.run.serve(bundle, settings, pages=mekb.page.site.pages())

The files hold no data and are the same for everybody, so they need no token; what they ask the server for does.
"""

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope
from typing_extensions import override

PATH = "/page"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "cache-control": "no-cache",  # asked for anew, and answered by 304 while nothing changed
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class _PageFiles(StaticFiles):
    """The page's files, each with `HEADERS`."""

    @override
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def pages() -> dict[str, ASGIApp]:
    """Return what a server shows to people: path -> application, as `mekb.serve.create_app` takes it."""
    return {PATH: _PageFiles(packages=[("mekb.page", "assets")], html=True)}
