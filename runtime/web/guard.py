"""Who may ask, how often and from where; and what every answer says about itself."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "edge_digits"

OPEN_PATHS = frozenset(("/", "/page.css", "/page.js", "/icon.svg", "/openapi.json", "/healthz", "/api/token"))
"""What needs no token: the page without anything in it, and the way to hand in the token."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
"""What is said with every answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one small computer can give.

    Attributes:
        body_bytes: of what is sent.
        pixels: of a picture.
        per_second: of what one address sends, over time.
        burst: of the same, at once.
        waiting: pictures that wait for their turn.
        viewers: of the live picture.
        seconds: that sending may take.
    """

    body_bytes: int = 16_000_000
    pixels: int = 25_000_000
    per_second: float = 20.0
    burst: int = 40
    waiting: int = 4
    viewers: int = 16
    seconds: float = 10.0


USUAL = Limits()


class Rate:
    """A bucket of allowances for each address, refilled over time; only the latest addresses are remembered."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether this address may ask once more now."""
        now = self._clock()
        left, since = self._buckets.pop(address, (float(self._limits.burst), now))
        left = min(left + (now - since) * self._limits.per_second, self._limits.burst)
        self._buckets[address] = max(left - 1, 0.0) if left >= 1 else left, now
        if len(self._buckets) > 1000:
            self._buckets.popitem(last=False)
        return left >= 1


class Guard:
    """ASGI middleware in front of everything: host, origin, token and rate; then the headers of ``HEADERS``."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None = None,
        hosts: frozenset[str] | None = None,
        limits: Limits = USUAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Stand before an application.

        Args:
            app: what to guard.
            token: what everybody must show, as ``Authorization: Bearer`` or by a cookie; None: nothing.
            hosts: names that requests may be addressed to, so that no foreign name can be made to lead here (DNS
                rebinding); None: any.
            limits: of how often.
            clock: seconds.
        """
        self._app = app
        self._token = token
        self._hosts = hosts
        self._rate = Rate(limits, clock)
        self._key = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse to."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._refusal(Request(scope)) or self._app
        await app(scope, receive, send_guarded)

    def admit(self, token: str) -> str | None:
        """The cookie for who shows this token; None where it is the wrong one."""
        if self._token is not None and not hmac.compare_digest(token.encode(errors="replace"), self._token.encode()):
            return None
        return self._cookie()

    def _cookie(self) -> str:
        return hmac.new(self._key, (self._token or "").encode(), hashlib.sha256).hexdigest()

    def _refusal(self, request: Request) -> ASGIApp | None:
        host = request.headers.get("host", "")
        name = _host_name(host)
        if self._hosts is not None and name not in self._hosts:
            return _error(421, f"this server is not called {name!r}: use the address that it printed")
        changing = request.method not in ("GET", "HEAD", "OPTIONS")
        if changing:
            if not self._take(request):
                return _error(429, "too many requests from this address: wait a second", {"Retry-After": "1"})
            origin = request.headers.get("origin")
            site = request.headers.get("sec-fetch-site", "same-origin")
            if (origin is not None and origin.partition("://")[2] != host) or site not in ("same-origin", "none"):
                return _error(403, "sent from another site: only this server's own page and programs may")
        if self._token is None or request.url.path in OPEN_PATHS or self._shown(request):
            return None
        if "authorization" in request.headers and not changing and not self._take(request):
            return _error(429, "too many requests with a wrong token: wait a second", {"Retry-After": "1"})
        return _error(
            401,
            "a token is needed: send it as Authorization: Bearer, or sign in on the page",
            {"WWW-Authenticate": "Bearer"},
        )

    def _take(self, request: Request) -> bool:
        return self._rate.take(request.client.host if request.client else "")

    def _shown(self, request: Request) -> bool:
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.admit(shown.strip()) is not None:
            return True
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._cookie().encode())


def _host_name(host: str) -> str:
    """``localhost`` of ``localhost:8080``."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # such as a bracket without its other
        return ""


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": reason}, status, headers)
