"""`onecard ledger doctor`: what is wrong with a ledger, each in a line that says what to do.

It only looks: beside a running ledger too, and the books are opened for reading alone.
"""

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from adapters.identity import WARN_DAYS, IdentityError
from ledger import audit, closing, reasons
from ledger.carry_over import AFTER_S
from ledger.config import Config
from ledger.dialect import Dialect, SqliteDialect
from ledger.health import Health, look
from ledger.invariants import check
from ledger.steady_clock import ahead_s, kept_in
from ledger.store import LedgerStore
from protocols.rules.money import format_yuan

GOOD, WORTH_A_LOOK, WRONG = "good", "look", "wrong"
AUDIT_DAYS_MAX = 1  # behind today, or ahead of it
_BEHIND_ITS_END = "what is due goes by the next period; else onecard ledger merchant say, reopen"
_DAY_S = 86_400
_SHOWN_MAX = 8
_AHEAD_S_MIN = 60
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Finding:
    """What one check has found; `action` is for whoever reads it, empty where nothing is to do."""

    level: str
    about: str
    text: str
    action: str = ""


def examine(
    store: LedgerStore, now_s: int, config: Config | None = None, folder: Path | None = None
) -> Iterator[Finding]:
    """Every check in turn, the slow ones last; `folder` is that of the audit, if there is one."""
    yield from _pages(store.database)
    yield from _clock(store.database, now_s, config.carry_over_after_s if config else AFTER_S)
    health = look(store.database)
    yield from _readers(health)
    yield from _waiting(health)
    yield from _cases(health)
    yield from _merchants(store, now_s)
    yield from _payments(store)
    if folder is not None:
        yield from _audit(folder, now_s)
    if config is not None:
        yield from _process(config)
        yield from _certificate(config, now_s)
    yield from _rules(store)


def _pages(database: Dialect) -> Iterator[Finding]:
    if not isinstance(database, SqliteDialect):
        return  # its server looks after them
    ((said,),) = list(database.rows("PRAGMA quick_check(1)"))
    if said == "ok":
        yield Finding(GOOD, "file", "whole")
    else:
        action = "stop the ledger, keep this file, and restore the newest backup elsewhere"
        yield Finding(WRONG, "file", f"damaged: {said}", action)


def _clock(database: Dialect, now_s: int, after_s: int) -> Iterator[Finding]:
    ahead = ahead_s(database, now_s, after_s)
    if ahead >= _AHEAD_S_MIN:
        text = f"{ahead // 3600} h {ahead % 3600 // 60} min ahead of what the ledger has seen pass"
        hours = f"in {after_s // 3600} h, and carry-overs wait for it"
        action = f"set it right; if it is right, it counts again {hours}"
        yield Finding(WORTH_A_LOOK, "clock", text, action)
    elif kept_in(database):
        yield Finding(GOOD, "clock", "as the ledger's own")


def _readers(health: Health) -> Iterator[Finding]:
    yield Finding(GOOD, "readers", f"{health.counts['readers']} in the register")
    if health.without_map:
        text = f"{len(health.without_map)} have not said that they have epoch {health.map_epoch}"
        action = f"onecard ledger maps: {some(health.without_map)}"
        yield Finding(WORTH_A_LOOK, "card map", text, action)
    elif health.map_epoch:
        text = f"every reader has said that it has epoch {health.map_epoch}"
        yield Finding(GOOD, "card map", text)
    if health.ahead:
        text = f"readers know more than the books: {some(health.ahead)}"
        action = "enter the missing card changes again, in their order, before any new loss"
        yield Finding(WRONG, "card changes", text, action)
    if health.barred:
        action = f"onecard ledger device list: {some(health.barred)}"
        yield Finding(WORTH_A_LOOK, "opened or moved", f"{len(health.barred)} readers", action)
    if forked := health.counts["forked_readers"]:
        action = "find the twin of each, then give it a new key"
        yield Finding(WRONG, "twins", f"with the key of {forked} readers two speak", action)


def _waiting(health: Health) -> Iterator[Finding]:
    for name, about, action in (
        (
            "parked_records",
            "records ahead of a gap",
            "their readers or agents have what is before",
        ),
        ("open_intents", "spends without an end", "the next tap of each card settles it"),
        ("open_reservations", "payments by code not settled", "onecard ledger codes"),
        ("overdrawn_accounts", "accounts below their floor", "onecard ledger forks"),
        (
            "unproven_carry_overs",
            "carry-overs that rest on no proof",
            "onecard ledger quiescence prove says who barred it",
        ),
    ):
        if count := health.counts[name]:
            yield Finding(WORTH_A_LOOK, about, str(count), action)
        else:
            yield Finding(GOOD, about, "none")


def _cases(health: Health) -> Iterator[Finding]:
    for reason, count in health.cases.items():
        about = reasons.TEXTS.get(reason, "a reason of a later ledger")
        yield Finding(WORTH_A_LOOK, f"cases {reason}", f"{count}: {about}")
    for reason, fen in health.suspense_fen.items():
        action = "find whose it is and transfer it"
        yield Finding(WORTH_A_LOOK, f"suspense {reason}", f"{format_yuan(fen)} held", action)
    for reason, fen in health.loss_fen.items():
        yield Finding(WORTH_A_LOOK, f"loss {reason}", f"{format_yuan(fen)} borne")


def _merchants(store: LedgerStore, now_s: int) -> Iterator[Finding]:
    """What of merchants and readers waits for a person (ADR 49)."""
    held = [device for device, _merchant_no in store.merchants.onboarding.held_back()]
    late = [each.dossier.number for each in store.merchants.tickets.open(now_s) if each.is_late]
    captures = store.merchants.tickets.captures()
    for about, found, action in (
        ("readers that are not approved", held, "onecard ledger device registry"),
        ("dossiers that are late", late, "onecard ledger merchant open, device open"),
        ("withheld cards in nobody's hands", captures, "onecard ledger merchant open"),
    ):
        if found:
            yield Finding(WORTH_A_LOOK, about, str(len(found)), action)
    for merchant_no, dossier, what in closing.behind_its_end(store.database):
        text = f"merchant {merchant_no} (dossier {dossier}): {what}"
        yield Finding(WORTH_A_LOOK, "money behind a merchant's end", text, _BEHIND_ITS_END)


def _payments(store: LedgerStore) -> Iterator[Finding]:
    """What files to banks wait for behind a restore (ADR 58)."""
    waits = store.after_restore.waiting()
    if waits is None:
        return
    text = "files wait: readers know changes that these books do not, as behind a backup"
    if waits.restored_s is not None:
        text = "files wait: these books came back from a backup, and what the bank has since is"
        text += f" not released; {waits.count} payments noted, {len(waits.open)} not known again"
    yield Finding(WRONG, "payments to banks", text, "onecard ledger payments waiting")


def _audit(folder: Path, now_s: int) -> Iterator[Finding]:
    action = "onecard ledger audit export, from a timer, once a day"
    try:
        last = audit.newest(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding(WRONG, "audit", f"{folder}: {error}", "onecard ledger audit verify")
        return
    if last is None:
        yield Finding(WRONG, "audit", f"{folder} has none", action)
        return
    days = now_s // _DAY_S + _EPOCH - date.fromisoformat(last.day).toordinal()
    text = f"the newest is of {last.day}, {last.rows} rows"
    if days > AUDIT_DAYS_MAX:
        yield Finding(WRONG, "audit", f"{text}: {days} days ago", action)
    elif days < -AUDIT_DAYS_MAX:
        action = f"set the clock right, then {action}"
        yield Finding(WRONG, "audit", f"{text}: {-days} days ahead", action)
    else:
        yield Finding(GOOD, "audit", text)


def _process(config: Config) -> Iterator[Finding]:
    try:
        with open(config.data_dir / "ledger.lock", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                yield Finding(GOOD, "ledger", "runs")
                return
    except OSError:
        pass
    yield Finding(WRONG, "ledger", "does not run", "onecard ledger run")


def _certificate(config: Config, now_s: int) -> Iterator[Finding]:
    if config.identity is None:
        return
    about = "certificate for the broker"
    action = f"onecard ca renew, for {config.identity.name}"
    try:
        days = config.identity.days_left(now_s)
    except IdentityError as error:
        yield Finding(WRONG, about, str(error), action)
        return
    if days < 0:
        yield Finding(WRONG, about, "has ended", action)
    else:
        level, todo = (WORTH_A_LOOK, action) if days < WARN_DAYS else (GOOD, "")
        yield Finding(level, about, f"{days} days left", todo)


def _rules(store: LedgerStore) -> Iterator[Finding]:
    violations = check(store)
    for violation in violations:
        action = "stop the ledger, keep this file: somebody or something has changed the books"
        yield Finding(WRONG, "books", str(violation), action)
    if not violations:
        yield Finding(GOOD, "books", "every rule holds, from the first seal to the last balance")


def some(devices: tuple[int, ...]) -> str:
    """The first few of many readers."""
    shown = ", ".join(map(str, devices[:_SHOWN_MAX]))
    return shown if len(devices) <= _SHOWN_MAX else f"{shown} and {len(devices) - _SHOWN_MAX} more"
