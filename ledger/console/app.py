"""The application: from a request to a row of the table of pages, and from what it gives to HTML.

Rules of this file. The order is always address, pace (door.py), session, rights, form, work. What
is not for somebody's roles does not exist for them. A refusal has a number and words; no token,
field or name comes into a log.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ledger.api.books import Books, BooksBusy, BooksSlow
from ledger.api.limits import Pace
from ledger.config_listen import ConsoleLine
from ledger.console import bodies, forms, pages, refusals, session
from ledger.console.asked import (
    LANGUAGES,
    NOBODY,
    ZH,
    Asked,
    Download,
    File,
    Moved,
    Page,
    Refused,
    Settings,
    Shown,
)
from ledger.console.door import Door, whose
from ledger.console.looks import STATIC, Looks
from ledger.dialect import StoreUnavailable
from ledger.people import NO_SESSION, NOT_FOR_ROLE
from ledger.signatures import NotAllowed, note_refusal, session_of
from ledger.store import LedgerStore

LANGUAGE = "language"
LOGINS_PER_S = 2  # of one address, or network of one host; each costs a hash

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    """What a thread of the books needs of a request."""

    page: Page
    here: str
    method: str
    token: str
    language: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    fields: Mapping[str, str]
    files: Mapping[str, File]
    now_s: int


class Console:
    """Serves the table of pages from `books` at `line`, whose port is `port`.

    `utc_s` is the time that is booked with, `now_ms` a clock that only goes on.
    """

    def __init__(
        self,
        books: Books,
        settings: Settings,
        line: ConsoleLine,
        port: int,
        utc_s: Callable[[], int],
        now_ms: Callable[[], int],
    ) -> None:
        self._books = books
        self._settings = settings
        self._line = line
        self._port = port
        self._utc_s = utc_s
        self._pace = Pace(line.requests_per_s, now_ms)
        self._logins = Pace(LOGINS_PER_S, now_ms)
        self._looks = Looks(settings.school_offset_s)
        self._cookie = "__Host-session" if line.key else "session"

    def application(self) -> ASGIApp:
        """The ASGI application."""
        routes = [
            Route(page.path, self._endpoint(page), methods=["GET", "POST"] if page.do else ["GET"])
            for page in pages.PAGES
        ]
        static = Mount("/static", StaticFiles(directory=STATIC))
        handlers = {HTTPException: self._no_page, Exception: self._our_fault}
        inner = Starlette(routes=[*routes, static], exception_handlers=handlers)
        # A path has one address: with a slash behind it there is nothing.
        inner.router.redirect_slashes = False
        return Door(inner, self._line, self._port, self._pace, self._refuse)

    # --- from a request to an answer ---------------------------------------------------------

    def _endpoint(self, page: Page) -> Callable:
        async def answer(request: Request) -> Response:
            language = _language(request)
            try:
                response = await self._answer(page, request, language)
            except Refused as refused:
                response = self._refused(refused, language)
            except (StoreUnavailable, BooksBusy):
                response = self._refused(Refused(refusals.BOOKS_UNAVAILABLE), language)
            except BooksSlow:
                response = self._refused(Refused(refusals.TOO_SLOW), language)
            if request.query_params.get("lang") in LANGUAGES:
                self._set(response, LANGUAGE, language)
            _log.info("%s %s: %d", request.method, page.path, response.status_code)
            return response

        return answer

    async def _answer(self, page: Page, request: Request, language: str) -> Response:
        fields: dict[str, str] = {}
        files: dict[str, File] = {}
        if not all(map(bodies.is_text, request.query_params.values())):
            raise Refused(refusals.BAD_FIELDS)
        if request.method == "POST":
            if page.is_open and self._logins.wait_s(whose(request)):
                raise Refused(refusals.TOO_OFTEN)
            fields, files = await bodies.read(request, page.takes_files)
        said = _Request(
            page,
            request.url.path,
            request.method,
            request.cookies.get(self._cookie, ""),
            language,
            request.path_params,
            dict(request.query_params),
            fields,
            files,
            self._utc_s(),
        )
        name = _long(said)
        if name:
            # What was made before is for nobody whose session has ended since, or whose roles.
            closed = await self._books.do(lambda store: self._closed(store, said))
            if closed is not None:
                return closed
        return await self._books.do(lambda store: self._work(store, said), name)

    # --- in a thread of the books ------------------------------------------------------------

    def _closed(self, store: LedgerStore, said: _Request) -> Response | None:
        """What whoever asks gets in place of the page; None: they may see it. Raises Refused."""
        try:
            self._let_in(store, said)
        except NotAllowed:
            return self._without_session(said)
        return None

    def _work(self, store: LedgerStore, said: _Request) -> Response:
        try:
            asked = self._let_in(store, said)
        except NotAllowed:
            return self._without_session(said)
        if said.page.keeps_session and asked.person:
            store.operators.seen(asked.person, said.now_s)
        return self._done(asked, said) if said.method == "POST" else self._shown(said.page, asked)

    def _let_in(self, store: LedgerStore, said: _Request) -> Asked:
        """The request, of somebody who may see its page. Raises NotAllowed, Refused."""
        page, asked = said.page, self._asked(store, said)
        if not page.is_for(asked.roles) and not page.is_open:
            if said.method == "POST" and page.verbs:
                login = str(asked.person)
                tried = NotAllowed(NOT_FOR_ROLE, page.verbs[0], login)
                note_refusal(store.database, tried, said.now_s)
            raise Refused(refusals.NOTHING_HERE)
        return asked

    def _asked(self, store: LedgerStore, said: _Request) -> Asked:
        """The request with who has sent it. NotAllowed: nobody who has logged in."""
        person, department, roles = NOBODY, "", ()
        try:
            person = store.operators.prove(said.token, said.now_s)
            _login, department, roles = session_of(store.database, person.token_hash, said.now_s)
        except NotAllowed:
            if not said.page.is_open:
                raise
        return Asked(
            store,
            self._settings,
            person,
            department,
            roles,
            said.now_s,
            said.language,
            said.path,
            said.query,
            said.fields,
            said.files,
            token=said.token if person else "",
        )

    def _without_session(self, said: _Request) -> Response:
        """To the login, and from there back to where somebody wanted to look."""
        if said.method == "POST":
            raise Refused(NO_SESSION)
        query = {} if said.here == "/" else {"to": said.here}
        return self._moved(Moved(f"{session.LOG_IN}{'?' if query else ''}{urlencode(query)}"))

    def _done(self, asked: Asked, said: _Request) -> Response:
        """Do what the form asks; refused, show its page again with what was typed."""
        page = said.page
        try:
            return self._answered(page, asked, self._do(asked, said))
        except NotAllowed as error:
            note_refusal(asked.store.database, error, said.now_s)
            reason, detail = error.reason, ""
        except Refused as error:
            if error.reason in (refusals.FORM_FORGED, refusals.NOTHING_HERE):
                raise
            reason, detail = error.reason, error.detail
        except pages.REFUSES as error:
            reason, detail = getattr(error, "reason", 0), str(error)
        told = pages.told(reason, said.language, detail)
        return self._shown(page, replace(asked, refusal=told), told.status)

    def _do(self, asked: Asked, said: _Request) -> Moved | Shown | Download:
        page = said.page
        assert page.do is not None
        if not asked.person:  # an open page: whoever asks is nobody yet
            return _going(page.do(asked))
        number = forms.check(asked.token, said.here, said.fields)
        if not page.is_once:
            return _going(page.do(asked))
        data = {name: file.data for name, file in said.files.items()}
        form = number, str(asked.person), forms.digest(said.here, said.fields, data)

        def do(store: LedgerStore) -> str:
            assert page.do is not None
            path = page.do(replace(asked, store=store))
            assert isinstance(path, str), f"{page.path}: what is done once leads to a path"
            return path

        return Moved(forms.once(asked.store, form, said.now_s, do))

    def _answered(self, page: Page, asked: Asked, made: Moved | Shown | Download) -> Response:
        if isinstance(made, Moved):
            return self._moved(made)
        if isinstance(made, Download):
            return _download(made)
        return HTMLResponse(self._looks.page(page, asked, made))

    def _shown(self, page: Page, asked: Asked, status: int = 200) -> Response:
        try:
            made = page.show(asked)
        except NotAllowed as error:
            note_refusal(asked.store.database, error, asked.now_s)
            raise Refused(error.reason) from None
        except pages.REFUSES as error:
            raise Refused(getattr(error, "reason", 0), str(error)) from None
        if isinstance(made, Download):
            return _download(made)
        return HTMLResponse(self._looks.page(page, asked, made), status)

    # --- what goes out -----------------------------------------------------------------------

    def _moved(self, moved: Moved) -> Response:
        response = RedirectResponse(moved.path, 303)
        if moved.token is not None:
            self._set(response, self._cookie, moved.token)
        return response

    def _set(self, response: Response, name: str, value: str) -> None:
        """A cookie of this server alone, for as long as the browser runs; "": it goes."""
        flags = {"httponly": True, "samesite": "strict", "secure": self._line.key is not None}
        if value:
            response.set_cookie(name, value, path="/", **flags)
        else:
            response.delete_cookie(name, path="/", **flags)

    def _refused(self, refused: Refused, language: str) -> Response:
        told = pages.told(refused.reason, language, refused.detail)
        _log.info("refused: reason %d", told.number)
        headers = {"Retry-After": "1"} if told.status in (429, 503) else None
        return HTMLResponse(self._looks.refusal(told, language), told.status, headers)

    async def _refuse(self, request: Request, reason: int) -> Response:
        return self._refused(Refused(reason), _language(request))

    async def _no_page(self, request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        reason = refusals.WRONG_METHOD if status == 405 else refusals.NOTHING_HERE
        return await self._refuse(request, reason)

    async def _our_fault(self, request: Request, error: Exception) -> Response:
        # Starlette raises it again behind us, and the server logs where it came from.
        del error
        return await self._refuse(request, refusals.OUR_FAULT)


def _long(said: _Request) -> str:
    """The name of what may take longer than an answer: all that it hangs on; "": no such page."""
    if not said.page.is_long or said.method == "POST":
        return ""
    asked = *sorted(said.query.items()), said.language, said.token
    return hashlib.sha256(f"{said.here} {asked}".encode()).hexdigest()


def _going(made: str | Moved | Shown | Download) -> Moved | Shown | Download:
    return Moved(made) if isinstance(made, str) else made


def _download(made: Download) -> Response:
    named = {"Content-Disposition": f'attachment; filename="{made.name}"'}
    return Response(made.data, media_type=made.kind, headers=named)


def _language(request: Request) -> str:
    """Chinese, unless somebody has asked for another that there is."""
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE, "")
    return asked if asked in LANGUAGES else ZH
