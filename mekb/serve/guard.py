"""What stands before every route: host name, token, kind and size of the body, the last word on failures, the log.

A line of the log says when, which route, which status, how long and how much; never what was asked, so no history,
no text, no title, no address of anybody.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mekb.serve.problems import ProblemError, problem_response
from mekb.serve.settings import ServeSettings

_LOGGER = logging.getLogger(__name__)
_ACCESS = logging.getLogger("mekb.serve.access")
OPEN_PATHS = ("/", "/health", "/ready")
"""What is answered without a token: where the page is, and whether the server is there."""
JSON_TYPE = "application/json"
SAFE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""Sent with every answer that does not say otherwise itself: it is data, never a page."""


class Guard:
    """An ASGI middleware around the whole server.

    Args:
        app: What it guards.
        settings: Token, host names, and limits.
        open_prefixes: Paths below which no token is asked for: pages that hold no data, and ask for the token.
    """

    def __init__(
        self, app: ASGIApp, settings: ServeSettings, open_prefixes: Sequence[str] = ()
    ) -> None:
        self._app = app
        self._settings = settings
        self._open_prefixes = tuple(f"{prefix.rstrip('/')}/" for prefix in open_prefixes)
        token = settings.token
        self._token = None if token is None else _digest(token.get_secret_value().encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or end it; whatever happens, one answer and one line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        started = time.perf_counter()
        try:
            self._check(scope)
            body = await self._body(scope, receive)
            await self._app(scope, _replayed(body, receive), answer.send)
        except ProblemError as problem:
            response = problem_response(problem.status, problem.detail, problem.headers)
            await response(scope, receive, answer.send)
        except Exception:
            error_id = secrets.token_hex(4)  # whoever reports it can be found in the log
            _LOGGER.exception("a request failed: error %s", error_id)
            if not answer.status:
                response = problem_response(
                    HTTPStatus.INTERNAL_SERVER_ERROR,
                    f"something failed here; it is in the log as error {error_id}",
                )
                await response(scope, receive, answer.send)
        finally:
            _log(scope, answer, time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        """Refuse a foreign host name, a missing token, and a body that is no JSON."""
        headers = Headers(scope=scope)
        names = self._settings.host_names
        if names is not None and _host(headers.get("host", "")) not in names:
            raise ProblemError(
                HTTPStatus.MISDIRECTED_REQUEST, "this server is called localhost; use that name"
            )
        if self._token is not None and not self._is_open(scope["path"]):
            scheme, _, shown = headers.get("authorization", "").partition(" ")
            fits = hmac.compare_digest(_digest(shown.strip().encode()), self._token)
            if scheme.lower() != "bearer" or not fits:
                raise ProblemError(
                    HTTPStatus.UNAUTHORIZED,
                    "show the token as 'Authorization: Bearer TOKEN'",
                    {"WWW-Authenticate": "Bearer"},
                )
        kind = headers.get("content-type", JSON_TYPE if scope["method"] != "POST" else "")
        if scope["method"] == "POST" and kind.partition(";")[0].strip().lower() != JSON_TYPE:
            raise ProblemError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send JSON, as 'Content-Type: {JSON_TYPE}'"
            )

    def _is_open(self, path: str) -> bool:
        return path in OPEN_PATHS or f"{path}/".startswith(self._open_prefixes)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the whole body.

        Raises:
            ProblemError: it is too long, or not sent in time.
        """
        allowed = self._settings.max_body_bytes
        too_long = ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body may have {allowed:,} bytes"
        )
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdigit() and int(declared) > allowed:
            raise too_long
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                while True:
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > allowed:
                        raise too_long
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError as error:
            raise ProblemError(
                HTTPStatus.REQUEST_TIMEOUT, "the body was not sent in time"
            ) from error


class _Answer:
    """Sends an answer on, with safe headers, and remembers what the log tells."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.n_bytes = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            known = {name.lower() for name, _ in message.get("headers", [])}
            message["headers"] = [
                *message.get("headers", []),
                *(
                    (name.encode(), value.encode())
                    for name, value in SAFE_HEADERS.items()
                    if name.encode() not in known
                ),
            ]
        elif message["type"] == "http.response.body":
            self.n_bytes += len(message.get("body", b""))
        await self._send(message)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives a body that was read already, then what comes after it."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


def _log(scope: Scope, answer: _Answer, seconds: float) -> None:
    """Write one line; the route as it is declared, not the path that was asked for."""
    route = getattr(scope.get("route"), "path", None) or scope.get("root_path") or None
    line = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": scope["method"] if scope["method"].isalpha() else "?",
        "route": route,
        "status": answer.status,
        "milliseconds": round(1e3 * seconds, 1),
        "bytes": answer.n_bytes,
    }
    _ACCESS.info("%s", json.dumps(line))


def _digest(value: bytes) -> bytes:
    """Return a hash to compare in constant time, whatever the lengths."""
    return hashlib.sha256(value).digest()


def _host(header: str) -> str:
    """Return the name of a Host header without its port.

    >>> _host("localhost:8765"), _host("[::1]:80"), _host("127.0.0.1")
    ('localhost', '::1', '127.0.0.1')
    """
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()
