"""Who gets as far as a page: the right address, from a page of ours, not too often.

A page elsewhere must not be able to drive this one: Host is one of ours (a name that was rebound
is not), and whatever is posted says that it comes from here. The headers stand on every answer.
"""

import ipaddress
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.api.limits import Pace
from ledger.config_listen import LOOPBACK, ConsoleLine
from ledger.console.refusals import OTHER_ORIGIN, TOO_OFTEN, WRONG_METHOD

METHODS = ("GET", "HEAD", "POST")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer browsers would say of our own forms that they come from "null".
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}
_HTTPS_PORT = 443


def headers_of(line: ConsoleLine) -> dict[str, str]:
    """What stands on every answer."""
    return _HEADERS | (_TLS_HEADERS if line.key else {})


def hosts_of(line: ConsoleLine, port: int) -> set[str]:
    """The Host of a request, in every way that it may be written for this server."""
    names = [line.name] if line.name else []
    if line.host in LOOPBACK:
        names += ["127.0.0.1", "localhost", "[::1]"]
    hosts = {f"{name}:{port}" for name in names}
    return hosts | (set(names) if line.key and port == _HTTPS_PORT else set())


class Door:
    """In front of the application `inner`; `refuse` makes an answer of a reason."""

    def __init__(
        self,
        inner: ASGIApp,
        line: ConsoleLine,
        port: int,
        pace: Pace,
        refuse: Callable[[Request, int], Awaitable[Response]],
    ) -> None:
        self._inner = inner
        self._hosts = hosts_of(line, port)
        scheme = "https" if line.key else "http"
        self._origins = {f"{scheme}://{host}" for host in self._hosts}
        self._headers = [
            (name.lower().encode(), value.encode()) for name, value in headers_of(line).items()
        ]
        self._pace = pace
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _value in self._headers}
                others = [each for each in message.get("headers", []) if each[0] not in names]
                message["headers"] = [*others, *self._headers]
            await send(message)

        request = Request(scope)
        reason = self._reason(request)
        inner = await self._refuse(request, reason) if reason else self._inner
        await inner(scope, receive, send_on)

    def _reason(self, request: Request) -> int:
        headers = request.headers
        if headers.get("host") not in self._hosts:
            return OTHER_ORIGIN
        if request.method not in METHODS:
            return WRONG_METHOD
        origin = headers.get("origin")
        is_asked = request.method != "POST" and origin is None
        if not is_asked and origin not in self._origins:
            return OTHER_ORIGIN
        return TOO_OFTEN if self._pace.wait_s(whose(request)) else 0


def whose(request: Request) -> str:
    """Whose pace it is: an address, of IPv6 the network that a single host may have."""
    host = request.client.host if request.client else ""
    if ":" not in host:
        return host
    return str(ipaddress.ip_network((host.partition("%")[0], 64), strict=False))
