"""What `onecard ledger card` and `onecard ledger temporary` do in the books.

Each says what it has done. NotBooks, CardRefused, StoreUnavailable, BadInput.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from ledger import marks
from ledger.card_fees import FEE_FEN
from ledger.declines import TEMPORARY
from ledger.holders import DAY_MAX, KINDS, Holder
from ledger.lifecycle import Act
from ledger.payments.accounts import masked
from ledger.temporary import CATEGORIES, LAST_DAYS, STEPS, Application
from protocols.rules import clock
from protocols.rules.money import format_yuan
from tools.session import signing, written

_EPOCH = date(1970, 1, 1)


class BadInput(Exception):
    """Input that cannot be read; nothing was changed, and the text says what is wrong."""


def begin(path: Path, verb: str, card_no: int, by: str, now_s: int) -> str:
    """Order or issue a card."""
    with signing(path, by, now_s) as (store, who):
        act = store.holders.order if verb == "order" else store.holders.issue
        act(card_no, now_s, Act(person=who))
        return f"card {card_no} is {store.cards.state(card_no)}"


def open_card(
    path: Path,
    card_no: int,
    person_no: str,
    facts: tuple[str, str, str, str],
    evidence: str,
    by: str,
    now_s: int,
) -> str:
    """Activate it for a person; `facts`: kind, department, first and last day."""
    kind, department, first, last = facts
    holder = Holder(person_no, KINDS[kind], department)
    days = day_of(first), day_of(last)
    with signing(path, by, now_s) as (store, who):
        act = Act(evidence=evidence, person=who)
        store.holders.open(card_no, holder, days, now_s, act)
        return f"card {card_no} is {store.cards.state(card_no)}, valid until {last}"


def warn(path: Path, card_no: int, by: str, now_s: int) -> str:
    """Note that a holder who leaves was told."""
    with signing(path, by, now_s) as (store, who):
        store.settlements.warn(card_no, who, now_s)
        left_fen = store.holder_balance(card_no)
    return f"card {card_no}: its holder knows that {format_yuan(left_fen)} yuan have to be spent"


def register_payee(path: Path, card_no: int, account: Sequence[str], by: str, now_s: int) -> str:
    """Note an account and whose it is."""
    account_no, name = account
    with signing(path, by, now_s) as (store, who):
        store.payouts.register_payee(card_no, account_no, name, who, now_s)
    return f"card {card_no}: {masked(account_no)} is registered"


def expire(path: Path, utc_offset_s: int, now_s: int) -> str:
    """Mark what is over."""
    with written(path) as store:
        expired = store.holders.expire(clock.day(now_s, utc_offset_s), now_s)
    return "\n".join([f"card {card_no} is expired" for card_no in expired] or ["none is over"])


def apply(path: Path, people: Sequence[str], facts: Sequence[str], by: str, now_s: int) -> str:
    """Note an application; `people`: user and applicant, `facts` as the command takes them."""
    user_no, applicant_no = people
    relation, category, department, first, last = facts
    if category not in CATEGORIES:
        raise BadInput(f"--category is one of {', '.join(CATEGORIES)}")
    days = day_of(first), day_of(last) if last else DAY_MAX
    form = Application(user_no, applicant_no, relation, CATEGORIES[category], department, *days)
    with signing(path, by, now_s) as (store, who):
        number = store.temporaries.apply(form, now_s, who)
        _told, mark = marks.shown(store, TEMPORARY, str(number))
    return f"application {number} (mark {mark}): two persons have to approve it"


def approve(path: Path, what: tuple[int, str], step: str, by: str, now_s: int) -> str:
    """Note a signature; `what`: an application's number and its mark. OtherMark."""
    number, mark = what
    with signing(path, by, now_s) as (store, who):
        marks.check(store, TEMPORARY, str(number), mark)
        count = store.temporaries.approve(number, STEPS[step], who, now_s)
    return f"application {number}: {count} of {len(STEPS)} signatures"


def hand_out(
    path: Path, what: tuple[int, str, int, int], evidence: str, by: str, now_s: int
) -> str:
    """Hand out (application, its mark, card) for the fee; and the offset of the school's time.

    Raises OtherMark.
    """
    number, mark, card_no, utc_offset_s = what
    today = clock.day(now_s, utc_offset_s)
    with signing(path, by, now_s) as (store, who):
        marks.check(store, TEMPORARY, str(number), mark)
        act = Act(evidence=evidence, person=who)
        store.temporaries.hand_out(number, card_no, now_s, act, today)
    fee = format_yuan(FEE_FEN)
    return f"card {card_no} is active for application {number}; {fee} yuan are booked"


def extend(
    path: Path, card_no: int, facts: tuple[str, str, int], evidence: str, by: str, now_s: int
) -> str:
    """Give it a later last day; `facts`: department, last day, offset of the school's time."""
    department, last, utc_offset_s = facts
    today = clock.day(now_s, utc_offset_s)
    with signing(path, by, now_s) as (store, who):
        act = Act(evidence=evidence, person=who)
        store.temporaries.extend(card_no, department, day_of(last), today, now_s, act)
    return f"card {card_no} is valid until {last}: that has to be written on the card too"


def ending(path: Path, utc_offset_s: int, now_s: int) -> str:
    """What can be extended now."""
    with written(path) as store:
        found = store.temporaries.ending(clock.day(now_s, utc_offset_s))
    lines = [f"card {card_no}: until {date_of(last)}, {where}" for card_no, last, where in found]
    return "\n".join(lines or [f"none ends within {LAST_DAYS} days"])


def day_of(text: str) -> int:
    """Days since 1970 of a date such as 2026-09-01."""
    try:
        days = (date.fromisoformat(text) - _EPOCH).days
    except ValueError:
        raise BadInput("a day is a date such as 2026-09-01") from None
    if not 0 <= days <= DAY_MAX:
        raise BadInput("a day is between 1970 and 2149")
    return days


def date_of(day: int) -> str:
    """The date of a day since 1970."""
    return (_EPOCH + timedelta(days=day)).isoformat()
