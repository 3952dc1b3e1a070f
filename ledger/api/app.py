"""The application: from a request to a call of an operation, and from what it gives to an answer.

Rules of this file. The order is always pace, token, scope, size, shape, work. A refusal has a
number and tells nothing of what was asked; no token, body, account or order comes into a log.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ledger import api_reasons as why
from ledger import people
from ledger.api import models
from ledger.api.books import Books, BooksBusy, BooksSlow
from ledger.api.calls import BadPlace, Call, Download, Operation, Policy
from ledger.api.clients import Client, Clients, Scope, operator
from ledger.api.limits import OPERATORS, STRANGERS, Pace
from ledger.api.metrics import Metrics
from ledger.api.openapi import PROBLEM, document
from ledger.api.operations import OPERATIONS
from ledger.api.periods import refused
from ledger.channel_topups import ChannelRefused
from ledger.dialect import StoreUnavailable
from ledger.operators import is_token
from ledger.period_reasons import PeriodRefused
from ledger.signatures import NotAllowed, note_refusal
from ledger.store import LedgerStore

BODY_BYTES_MAX = 4_096
BODY_S = 5.0
READY_S = 1.0  # no token is needed to ask, so one look at the books serves all for so long
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_JSON = "application/json"
_BEARER = "bearer "
_NO_SUCH = {"account": why.NO_ACCOUNT, "order_no": why.NO_ORDER, "period": why.NO_PERIOD}

_log = logging.getLogger(__name__)


class Refused(Exception):
    """`reason` of ledger/api_reasons.py; `fields`: what is wrong with which of them."""

    def __init__(self, reason: int, fields: tuple[str, ...] = (), wait_s: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fields = fields
        self.wait_s = wait_s


class Api:
    """Answers `clients` from `books` by `policy`; `utc_s` is the time that is booked with."""

    def __init__(
        self,
        books: Books,
        clients: Clients,
        policy: Policy,
        pace: Pace,
        utc_s: Callable[[], int],
    ) -> None:
        self._books = books
        self._clients = clients
        self._policy = policy
        self._pace = pace
        self._utc_s = utc_s
        self._metrics = Metrics()
        self._looked_s = 0.0
        self._look: asyncio.Task[int] | None = None
        self._document = json.dumps(document()).encode()

    def application(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route(operation.path, self._endpoint(operation), methods=[operation.method])
            for operation in OPERATIONS
        ]
        routes += [
            Route("/healthz", _healthy),
            Route("/readyz", self._guarded("readyz", self._ready)),
            Route("/openapi.json", self._show_document),
            Route("/metrics", self._guarded("metrics", self._show_metrics)),
        ]
        handlers: dict[Any, Any] = {HTTPException: _no_route, Exception: _our_fault}
        return Starlette(routes=routes, exception_handlers=handlers)

    # --- an operation ------------------------------------------------------------------------

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            client = await self._admit(request, operation.name, operation.scope)
            query = _query(operation, request)
            body = await _body(operation, request)
            call = Call(client, _path(request), query, body, self._utc_s())
            made = await self._work(operation, call)
            return _response(made)

        return self._guarded(operation.name, answer)

    async def _work(self, operation: Operation, call: Call) -> BaseModel | Download:
        asked = operation.name, call.client.name, call.path, call.query, call.body
        name = repr(asked) if operation.is_long else ""
        try:
            return await self._books.do(
                lambda store: operation.handler(store, self._policy, call), name
            )
        except ChannelRefused as error:
            raise Refused(error.reason) from None
        except PeriodRefused as error:
            raise Refused(refused(error)) from None
        except NotAllowed as error:
            await self._note(error, call.now_s)
            raise Refused(error.reason) from None
        except BadPlace:
            raise Refused(why.BAD_FIELDS, ("after: no place in this list",)) from None

    async def _admit(self, request: Request, name: str, scope: Scope | None) -> Client:
        """Who asks, with `scope`; None: whoever does, as a stranger."""
        client = None if scope is None else await self._client(_bearer(request))
        label = STRANGERS if client is None else client.name
        # Who works here stands in no label and no log: there all operators are one.
        request.state.client = OPERATORS if client and client.person else label
        self._keep_pace(label)
        if scope is None:
            return Client(STRANGERS, b"", frozenset())
        if client is None:
            raise Refused(why.NO_TOKEN)
        if scope in client.scopes:
            return client
        if not client.person:
            raise Refused(why.NOT_ALLOWED)
        login = str(client.person)
        await self._note(NotAllowed(people.NOT_FOR_ROLE, f"api.{name}", login), self._utc_s())
        raise Refused(people.NOT_FOR_ROLE)

    async def _client(self, token: str) -> Client | None:
        """Whose token it is: a subsystem's, or that of an operator's session."""
        client = self._clients.by_token(token)
        if client is not None or not is_token(token):
            return client
        self._keep_pace(OPERATORS)  # before the books are asked
        now_s = self._utc_s()
        try:
            return await self._books.do(lambda store: _operator(store, token, now_s))
        except NotAllowed:
            return None

    def _keep_pace(self, name: str) -> None:
        wait_s = self._pace.wait_s(name)
        if wait_s:
            raise Refused(why.TOO_OFTEN, wait_s=wait_s)

    async def _note(self, refused: NotAllowed, now_s: int) -> None:
        if refused.login:
            await self._books.do(lambda store: note_refusal(store.database, refused, now_s))

    def _guarded(
        self, name: str, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Whatever is refused in `answer` becomes a problem, and everything is counted."""

        async def guarded(request: Request) -> Response:
            loop = asyncio.get_running_loop()
            begun_s = loop.time()
            request.state.client = STRANGERS
            reason = 0
            try:
                response = await answer(request)
            except Refused as refusal:
                reason = refusal.reason
                response = _problem(refusal)
            except (StoreUnavailable, BooksBusy):
                reason = why.BOOKS_UNAVAILABLE
                response = _problem(Refused(reason, wait_s=1))
            except BooksSlow:
                reason = why.TOO_SLOW
                response = _problem(Refused(reason))
            except Exception:
                took_s = loop.time() - begun_s
                self._metrics.heard(name, request.state.client, 500, why.OUR_FAULT, took_s)
                raise
            client, status = request.state.client, response.status_code
            self._metrics.heard(name, client, status, reason, loop.time() - begun_s)
            _log.info("%s by %s: %d, reason %d", name, client or "a stranger", status, reason)
            return response

        return guarded

    # --- about itself ------------------------------------------------------------------------

    async def _ready(self, request: Request) -> Response:
        del request
        now_s = asyncio.get_running_loop().time()
        look = self._look
        if look is None or (look.done() and now_s - self._looked_s >= READY_S):
            look = asyncio.create_task(self._books.do(lambda store: store.cards.epoch()))
            self._look, self._looked_s = look, now_s
        await asyncio.shield(look)  # others wait for it too
        return _response(models.Health())

    async def _show_document(self, request: Request) -> Response:
        del request
        return Response(self._document, media_type=_JSON, headers=_HEADERS)

    async def _show_metrics(self, request: Request) -> Response:
        await self._admit(request, "metrics", Scope.METRICS)
        shown = generate_latest(self._metrics.registry)
        return Response(shown, headers={**_HEADERS, "Content-Type": CONTENT_TYPE_LATEST})


def _bearer(request: Request) -> str:
    """The token; "" if there is none."""
    said = request.headers.get("authorization", "")
    return said[len(_BEARER) :] if said[: len(_BEARER)].lower() == _BEARER else ""


def _operator(store: LedgerStore, token: str, now_s: int) -> Client:
    person = store.operators.prove(token, now_s)
    return operator(person, store.operators.roles_of(person))


async def _healthy(request: Request) -> Response:
    del request
    return _response(models.Health())


# --- what comes in ---------------------------------------------------------------------------


def _path(request: Request) -> dict[str, str]:
    """The parts of the path, which have to be as the fields of a top-up of these names."""
    path = dict(request.path_params)
    for name, value in path.items():
        try:
            models.PATH_PARTS[name].validate_python(value)
        except ValidationError:
            raise Refused(_NO_SUCH[name]) from None
    return path


def _query(operation: Operation, request: Request) -> BaseModel | None:
    pairs = request.query_params.multi_items()
    if operation.query is None:
        return None
    if len(dict(pairs)) < len(pairs):
        raise Refused(why.BAD_FIELDS, ("a field stands there twice",))
    try:
        return operation.query.model_validate(dict(pairs))
    except ValidationError as error:
        raise _bad_fields(error) from None


async def _body(operation: Operation, request: Request) -> BaseModel | None:
    if operation.body is None:
        return None
    data = await _bytes(request)
    try:
        body = operation.body.model_validate_json(data)
        json.loads(data, object_pairs_hook=_once)
    except ValidationError as error:
        raise _bad_fields(error) from None
    except ValueError:
        raise Refused(why.NOT_JSON) from None
    return body


async def _bytes(request: Request) -> bytes:
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                data += chunk
                if len(data) > BODY_BYTES_MAX:
                    raise Refused(why.TOO_LARGE)
    except (TimeoutError, ClientDisconnect):
        raise Refused(why.NOT_JSON) from None
    return bytes(data)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that stands there twice, others may have read the other value."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


def _bad_fields(error: ValidationError) -> Refused:
    """What is wrong with which field, without what stood there."""
    if any(one["type"] in ("json_invalid", "model_type") for one in error.errors()):
        return Refused(why.NOT_JSON)
    told = [(".".join(map(str, one["loc"])), one["type"]) for one in error.errors()]
    return Refused(why.BAD_FIELDS, tuple(f"{place[:64]}: {kind}" for place, kind in told[:16]))


# --- what goes out ---------------------------------------------------------------------------


def _response(made: BaseModel | Download) -> Response:
    if isinstance(made, Download):
        named = {"Content-Disposition": f'attachment; filename="{made.name}"', **_HEADERS}
        return Response(made.data, media_type=made.kind, headers=named)
    return Response(made.model_dump_json(), media_type=_JSON, headers=_HEADERS)


def _problem(refusal: Refused, headers: dict[str, str] | None = None) -> Response:
    status, title = why.TEXTS[refusal.reason]
    told = models.Problem(
        type=f"urn:onecard:reason:{refusal.reason}",
        title=title,
        status=status,
        reason=refusal.reason,
        fields=list(refusal.fields),
    )
    more = dict(headers or {})
    if refusal.wait_s:
        more["Retry-After"] = str(refusal.wait_s)
    if status == 401:
        more["WWW-Authenticate"] = 'Bearer realm="onecard"'
    text = told.model_dump_json(exclude_defaults=True)
    return Response(text, status, {**_HEADERS, **more}, media_type=PROBLEM)


async def _no_route(request: Request, error: HTTPException) -> Response:
    del request
    reason = why.WRONG_METHOD if error.status_code == 405 else why.NOTHING_HERE
    return _problem(Refused(reason), dict(error.headers or {}))


async def _our_fault(request: Request, error: Exception) -> Response:
    # Starlette raises it again behind us, and the server logs where it came from.
    del request, error
    return _problem(Refused(why.OUR_FAULT))
