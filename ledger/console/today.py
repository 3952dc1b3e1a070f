"""The first page: who I am, what waits for me."""

from ledger.console.asked import Asked, Page, Shown
from ledger.console.texts import Texts
from ledger.signatures import lasts_s

_BEGUN = "SELECT begun_s FROM operator_session WHERE token_hash = ?"
_LAST = """
SELECT MAX(begun_s) FROM operator_session WHERE login = ? AND begun_s < ?"""


def show(asked: Asked) -> Shown:
    """Who has logged in since when and until when, and what waits for them."""
    from ledger.console.pages import waiting  # which has this page

    ((begun_s,),) = asked.store.database.rows(_BEGUN, (asked.person.token_hash,))
    ((last_s,),) = asked.store.database.rows(_LAST, (str(asked.person), begun_s))
    session_s, idle_s = lasts_s(asked.roles)
    context = {
        "begun_s": begun_s,
        "ends_s": begun_s + session_s,
        "idle_min": idle_s // 60,
        "last_s": last_s,
        "waiting": list(waiting(asked)),
    }
    return Shown("today.html", context)


PAGES = (Page("/", ("今日", "Today"), show, menu="menu_day", access_key="1"),)
TEXTS: Texts = {
    "i_am": ("您是", "You are"),
    "since": ("登录时间", "Logged in at"),
    "until": ("最晚到", "At the latest until"),
    "idle": ("不操作多少分钟后自动退出", "Minutes without a page until it ends"),
    "last_login": ("上次登录", "Before that"),
    "waits": ("等您办理", "Waits for you"),
    "waits_none": ("没有等您办理的事。", "Nothing waits for you."),
}
