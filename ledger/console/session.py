"""To log in to the console, out of it, and to choose a password (ledger/operators.py)."""

import re

from ledger.console.asked import Asked, Moved, Page, Shown
from ledger.console.texts import Texts
from ledger.people import NOT_FOUNDED, WEAK_PASSWORD
from ledger.signatures import NotAllowed, are_there

LOG_IN, LOG_OUT, PASSWORD = "/login", "/logout", "/password"
# Where one goes from the login: a path of ours without a query, so that nothing leads elsewhere.
_OURS = re.compile(r"/(?:[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*)?")


def path_of(text: str) -> str:
    """`text`, if it is a path of the console; else the first page."""
    return text if _OURS.fullmatch(text) else "/"


def show_login(asked: Asked) -> Shown:
    context = {
        "login": asked.fields.get("login", ""),
        "to": path_of(asked.fields.get("to") or asked.query.get("to", "")),
        "is_founded": are_there(asked.store.database),
    }
    return Shown("login.html", context)


def log_in(asked: Asked) -> Moved:
    """A session, by login and password; first passwords only lead to the page of passwords."""
    if not are_there(asked.store.database):
        raise NotAllowed(NOT_FOUNDED)
    login, password = asked.fields.get("login", ""), asked.fields.get("password", "")
    token = asked.store.operators.log_in(login.strip(), password, asked.now_s)
    return Moved(path_of(asked.fields.get("to", "")), token)


def show_logout(asked: Asked) -> Shown:
    del asked
    return Shown("logout.html")


def log_out(asked: Asked) -> Moved:
    asked.store.operators.end(asked.person)
    return Moved(f"{LOG_IN}?done=logout", "")


def show_password(asked: Asked) -> Shown:
    login = str(asked.person) or asked.fields.get("login", "")
    return Shown("password.html", {"login": login})


def set_password(asked: Asked) -> Moved:
    """Another password, by the one before or the first one; every session of theirs is over."""
    login = str(asked.person) or asked.fields.get("login", "").strip()
    new = asked.fields.get("new", "")
    if new != asked.fields.get("again", ""):
        raise NotAllowed(WEAK_PASSWORD)
    words = asked.fields.get("password", ""), new, asked.now_s
    asked.store.operators.set_password(login, *words)
    return Moved(f"{LOG_IN}?done=password", "")


PAGES = (
    Page(LOG_IN, ("登录", "Log in"), show_login, do=log_in, is_open=True, is_once=False),
    Page(
        PASSWORD,
        ("修改密码", "Password"),
        show_password,
        do=set_password,
        menu="menu_me",
        is_open=True,
        is_once=False,
    ),
    Page(
        LOG_OUT,
        ("退出", "Log out"),
        show_logout,
        do=log_out,
        menu="menu_me",
        access_key="q",
        is_once=False,
    ),
)
TEXTS: Texts = {
    "login": ("用户名", "Login"),
    "password": ("密码", "Password"),
    "password_now": ("现在的密码（或初始密码）", "Password now (or the first one)"),
    "password_new": ("新密码，至少 12 个字符", "New password, 12 characters at least"),
    "password_again": ("再写一次新密码", "The new password once more"),
    "password_set": ("修改密码", "Set the password"),
    "password_first": (
        "第一次登录？先用初始密码设置自己的密码",
        "First time? Set a password",
    ),
    "log_in": ("登录", "Log in"),
    "log_out_really": ("退出登录", "Log out now"),
    "not_founded": (
        "账簿里还没有操作员：请图书信息中心运行 onecard ledger operator found。",
        "These books have no operators yet: onecard ledger operator found makes the first two.",
    ),
    "done_logout": ("已退出", "You have logged out"),
    "done_password": ("密码已修改，请重新登录", "The password is set: log in with it"),
}
