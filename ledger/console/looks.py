"""How pages look: the templates of web/, with what all of them need."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ledger.console import forms, pages, search
from ledger.console.asked import EN, LANGUAGES, ZH, Asked, Page, Shown, Told
from ledger.people import DEPARTMENTS
from protocols.rules.money import format_yuan

WEB = Path(__file__).parent / "web"
STATIC = WEB / "static"
_EPOCH = date(1970, 1, 1)
_HTML_LANG = {ZH: "zh-Hans", EN: "en"}


class Looks:
    """Renders pages; `offset_s` is the school's time zone."""

    def __init__(self, offset_s: int) -> None:
        self._offset = timedelta(seconds=offset_s)
        self._words = {language: pages.words(language) for language in LANGUAGES}
        self._templates = Environment(
            loader=FileSystemLoader(WEB),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"clock": self._clock, "day": _day, "yuan": format_yuan}

    def page(self, page: Page, asked: Asked, shown: Shown) -> str:
        """A page as HTML."""
        language = asked.language
        frame = self._frame(language, page.title[LANGUAGES.index(language)])
        frame |= {
            "me": str(asked.person),
            "department": _department(asked.department, language),
            "roles": asked.roles,
            "menu": pages.menu(asked.roles, language, page.path) if asked.person else [],
            "form": _form(asked.token, _filled(page.path, asked.path)),
            "refusal": asked.refusal,
            "notice": self._words[language].get(f"done_{asked.query.get('done', '')}", ""),
            "fields": asked.fields,
            "may": asked.may,
            "searches": bool(asked.person) and bool(set(asked.roles) & set(search.ROLES)),
        }
        return self._templates.get_template(shown.template).render(frame | shown.context)

    def refusal(self, told: Told, language: str, login: str = "") -> str:
        """A page that only says why there is none; `login`: who has logged in."""
        words = self._words[language]
        frame = self._frame(language, words["refused"])
        frame |= {
            "me": login,
            "menu": [],
            "searches": False,
            "refusal": told,
            "notice": "",
            "fields": {},
        }
        return self._templates.get_template("refusal.html").render(frame)

    def _frame(self, language: str, title: str) -> dict[str, Any]:
        other = EN if language == ZH else ZH
        return {
            "t": self._words[language],
            "lang": language,
            "html_lang": _HTML_LANG[language],
            "other_lang": other,
            "other_html_lang": _HTML_LANG[other],
            "title": title,
        }

    def _clock(self, time_s: int) -> str:
        """Such as 2026-11-27 11:35, where the school is."""
        local = datetime.fromtimestamp(time_s, UTC) + self._offset
        return local.strftime("%Y-%m-%d %H:%M")


def _day(number: int) -> str:
    """A day since 1970 as 2026-11-27."""
    return (_EPOCH + timedelta(days=number)).isoformat()


def _department(name: str, language: str) -> str:
    return DEPARTMENTS[name][0] if language == ZH and name in DEPARTMENTS else name


def _filled(path: str, parts: Any) -> str:
    for name, text in parts.items():
        path = path.replace("{" + name + "}", str(text))
    return path


def _form(token: str, here: str) -> Callable[..., Markup]:
    """What stands in each form: its number and seal, for the path that it is posted to."""

    def fields(path: str = here) -> Markup:
        if not token:
            return Markup()
        names = (forms.NUMBER, forms.SEAL)
        made = zip(names, forms.opened(token, path), strict=True)
        inputs = (f'<input type="hidden" name="{name}" value="{escape(text)}">'
                  for name, text in made)  # fmt: skip
        return Markup("".join(inputs))

    return fields
