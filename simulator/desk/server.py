"""The page over HTTP, for browsers on this machine only.

A page elsewhere must not be able to drive it: the Host must be this very server (a name that was
rebound to 127.0.0.1 is not), a POST needs this server's Origin, JSON, and the token that was drawn
at the start and stands in the page. Nothing is fetched from elsewhere, and no script is inline.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulator.desk import views
from simulator.desk.device_page import device_page_of
from simulator.desk.many import CAMPUS
from simulator.desk.page import page_of
from simulator.desk.stage import Stage
from simulator.desk.wall_page import wall_page_of
from simulator.scenario import ScenarioError

WEB = Path(__file__).parent / "web"
SCENARIOS = Path(__file__).parents[1] / "scenarios"
TOKEN_HEADER = "x-desk-token"
_BODY_BYTES_MAX = 256 * 1024
_LOOK_S = 0.05  # between two looks at whether something has changed
_HEARTBEAT_S = 10.0
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def app_of(
    stage: Stage,
    port: int,
    token: str | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """The application; `port` is where it will be served on 127.0.0.1.

    `is_over`: it shall end, so nobody is told anything any more.
    """
    desk = _Desk(stage, token or secrets.token_urlsafe(24), is_over)
    routes = [
        Route("/", desk.page),
        Route("/device", desk.device),
        Route("/wall", desk.wall),
        Route("/events", desk.events),
        Route("/recording.toml", desk.recording),
        Route("/act", desk.act, methods=["POST"]),
        Route("/time", desk.time, methods=["POST"]),
        Route("/home", desk.home, methods=["POST"]),
        Route("/finish", desk.finish, methods=["POST"]),
        Route("/load", desk.load, methods=["POST"]),
        Mount("/web", StaticFiles(directory=WEB)),
    ]
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
    return _Door(
        Starlette(routes=routes, exception_handlers={_Unusable: _unusable}), hosts, desk.token
    )


class _Door:
    """Lets in who may come, and puts the headers on every answer."""

    def __init__(self, inner: ASGIApp, hosts: set[str], token: str) -> None:
        self._inner = inner
        self._hosts = hosts
        self._origins = {f"http://{host}" for host in hosts}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(key.lower().encode(), value.encode()) for key, value in _HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        refusal = self._refusal(Request(scope))
        inner = refusal if refusal is not None else self._inner
        await inner(scope, receive, send_on)

    def _refusal(self, request: Request) -> Response | None:
        headers = request.headers
        if headers.get("host") not in self._hosts:
            return JSONResponse({"refused": "another host"}, 403)
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins:
            return JSONResponse({"refused": "another origin"}, 403)
        if request.method in ("GET", "HEAD"):
            return None
        token = headers.get(TOKEN_HEADER, "")
        if origin is None or not secrets.compare_digest(token.encode(), self._token.encode()):
            return JSONResponse({"refused": "no token"}, 403)
        if headers.get("content-type") != "application/json":
            return JSONResponse({"refused": "not JSON"}, 415)
        return None


class _Desk:
    """What can be asked for."""

    def __init__(self, stage: Stage, token: str, is_over: Callable[[], bool]) -> None:
        self.token = token
        self._is_over = is_over
        self._stage = stage
        self._pages = Environment(
            loader=FileSystemLoader(WEB), autoescape=select_autoescape(), trim_blocks=True
        )

    async def page(self, request: Request) -> Response:
        lang = "en" if request.query_params.get("lang") == "en" else "zh"
        scenario = await asyncio.wrap_future(self._stage.scenario())
        files = sorted(path.stem for path in SCENARIOS.glob("*.toml"))
        return self._rendered("desk.html", page_of(scenario, lang, files))

    async def device(self, request: Request) -> Response:
        """One device in large: `reader` names it."""
        lang = "en" if request.query_params.get("lang") == "en" else "zh"
        scenario = await asyncio.wrap_future(self._stage.scenario())
        context = device_page_of(scenario, request.query_params.get("reader", ""), lang)
        if context is None:
            return JSONResponse({"refused": "no such reader"}, 404)
        page = "device_board.html" if context["reader"]["board"] else "device.html"
        return self._rendered(page, context)

    async def wall(self, request: Request) -> Response:
        """All devices, one glyph each."""
        lang = "en" if request.query_params.get("lang") == "en" else "zh"
        scenario = await asyncio.wrap_future(self._stage.scenario())
        return self._rendered("wall.html", wall_page_of(scenario, lang))

    def _rendered(self, name: str, context: dict[str, Any]) -> Response:
        context |= {"token": self.token, "play": self._stage.play}
        context["has_glyphs"] = self._stage.has_glyphs
        return HTMLResponse(self._pages.get_template(name).render(context))

    async def events(self, request: Request) -> Response:
        """The changes of what a browser looks at: `view` of views.py."""
        changes = self._changes(request.query_params.get("view", views.CAMPUS))
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(changes, media_type="text/event-stream", headers=headers)

    async def _changes(self, view: str) -> AsyncIterator[str]:
        watching = asyncio.wrap_future(self._stage.watch(view))
        try:
            # Shielded: a browser that goes away meanwhile is counted, and uncounted behind it.
            await asyncio.shield(watching)
            async for text in self._changes_of(view):
                yield text
        finally:
            self._stage.unwatch(view)

    async def _changes_of(self, view: str) -> AsyncIterator[str]:
        """What has changed since this browser was told last; a slow one skips what is between."""
        seen: dict[str, str] = {}
        version, quiet_s = -1, 0.0
        while not self._is_over():
            if self._stage.version == version:
                await asyncio.sleep(_LOOK_S)
                quiet_s += _LOOK_S
                if quiet_s >= _HEARTBEAT_S:
                    quiet_s = 0.0
                    yield ": still there\n\n"
                continue
            version, shown = self._stage.version, dict(self._stage.shown)
            new = {
                key: text
                for key, text in shown.items()
                if seen.get(key) != text and views.is_told(view, key)
            }
            seen, quiet_s = shown, 0.0
            if not new:
                continue
            body = ",".join(f"{json.dumps(key)}:{text}" for key, text in new.items())
            yield f"data: {{{body}}}\n\n"

    async def recording(self, _request: Request) -> Response:
        text = await asyncio.wrap_future(self._stage.recording())
        headers = {"Content-Disposition": 'attachment; filename="recording.toml"'}
        return Response(text, media_type="application/toml", headers=headers)

    async def act(self, request: Request) -> Response:
        return await _answer(self._stage.act(await _body(request)))

    async def time(self, request: Request) -> Response:
        return await _answer(self._stage.set_time(await _body(request)))

    async def home(self, request: Request) -> Response:
        """`home` "vm" or "cpython": where the firmware of `reader` runs from now on."""
        wish = await _body(request)
        name, home = _word(wish, "reader"), _word(wish, "home")
        if home not in ("vm", "cpython"):
            return JSONResponse({"refused": f"no such home: {home!r}"}, 409)
        if home == "vm":  # compiling takes seconds, in which the campus goes on
            refusal = await asyncio.to_thread(self._stage.prepare, name)
            if refusal:
                return JSONResponse({"refused": refusal}, 409)
        return await _answer(self._stage.move(name, to_vm=home == "vm"))

    async def finish(self, _request: Request) -> Response:
        return await _answer(self._stage.finish())

    async def load(self, request: Request) -> Response:
        """`name` of a scenario of ours, "" for the campus, or the `text` of one."""
        wish = await _body(request)
        name = _word(wish, "name")
        if "text" in wish:
            return await _answer(self._stage.load(_word(wish, "text"), Path("recording.toml")))
        known = {path.stem: path for path in SCENARIOS.glob("*.toml")} | {"": CAMPUS}
        if name not in known:
            return JSONResponse({"refused": "no such scenario"}, 404)
        path = known[name]
        loading = self._stage.load(path.read_text(encoding="utf-8"), path, paused=bool(name))
        return await _answer(loading)


class _Unusable(Exception):
    """What was sent is nothing that can be asked for: an answer that says so."""

    def __init__(self, refused: str, status: int) -> None:
        super().__init__(refused)
        self.answer = JSONResponse({"refused": refused}, status)


async def _body(request: Request) -> Mapping[str, Any]:
    """A JSON object, whose text can be written to a file; _Unusable for anything else."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _BODY_BYTES_MAX:
            raise _Unusable(f"more than {_BODY_BYTES_MAX} bytes", 413)
    try:
        found = json.loads(data)
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise _Unusable("not a JSON object", 400) from error
    if not isinstance(found, dict):
        raise _Unusable("not a JSON object", 400)
    return found


def _word(wish: Mapping[str, Any], key: str, otherwise: str = "") -> str:
    """What stands under a key, which must be text; _Unusable."""
    found = wish.get(key, otherwise)
    if not isinstance(found, str):
        raise _Unusable(f"{key}: not text", 400)
    return found


async def _unusable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, _Unusable)
    return error.answer


async def _answer(asked: Future[str]) -> Response:
    try:
        refusal = await asyncio.wrap_future(asked)
    except ScenarioError as error:
        refusal = str(error)
    return JSONResponse({"refused": refusal} if refusal else {}, 409 if refusal else 200)
