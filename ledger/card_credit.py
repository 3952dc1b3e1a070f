"""Money onto a card, by the ledger itself through whatever reader the card lies on.

A reader only carries the bytes: the session keys are made here and stay here, so no reader can
make money, nor change the amount, nor do it twice. Generators as in
protocols.card.personalise_desfire: yield a command, are sent the card's answer.

A credit has a number that is used once. It stands on the card as the record of the transaction
that brought it, and the card's ring remembers the last ten. An answer that is lost leaves it open
whether the card was credited; the ring tells as long as it goes back to that moment. So it does
while it is not full, and while the card's counter, which moves with spends too, has not moved on
by more than ten. Behind that nobody is credited again by guessing: the books have to tell.
"""

import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

from protocols.card import ev2, purse
from protocols.card import personalise_desfire as desk
from protocols.card import purse_desfire as layout

# So many of the newest states fit one answer that a reader relays.
_STATES_READ = 6
_RECORDS_AT = 10  # in the settings of a ring: how many it holds, behind kind, mode, rights, sizes

Dialogue = Generator[bytes, bytes, Any]


class CreditRefused(Exception):
    """The card must not get this credit; the text says why."""


@dataclass(frozen=True, slots=True)
class Credited:
    """What the card has now: counter and balance, and the MAC of the transaction (12 bytes).

    `transaction_mac` is empty when the credit had been on the card before this dialogue.
    """

    counter: int
    balance_fen: int
    transaction_mac: bytes


class Sold(NamedTuple):
    """A sale that was cancelled: the card's counter before it, and the id of its INTENT."""

    counter: int
    record_id: tuple[int, int]


def credit(
    ciphers: Any,
    credit_key: bytes,
    amount_fen: int,
    number: int,
    time_s: int,
    random: Callable[[int], bytes],
    note_attempt: Callable[[int], None],
    attempted_at: int | None = None,
    sold: Sold | None = None,
) -> Dialogue:
    """Put `amount_fen` on the card under `number` (1..2^32-1), once; returns Credited.

    `credit_key` is the key of this one card. note_attempt(counter) is called before the commit is
    sent and has to keep the card's counter durably; whoever runs `number` again gives it as
    `attempted_at`. `sold` is the sale whose money it is, if it is of a cancelled one: the card
    itself has to show it. CreditRefused (amount, balance, counter, a ring that does not go back to
    the attempt, a sale that never was) before the card is changed; ev2.CardStatus and
    ev2.NotGenuine, or no answer at all, leave it unknown if an attempt was noted: run it again.
    """
    yield from desk.select(layout.APPLICATION)
    session = yield from desk.login(ciphers, credit_key, layout.CREDIT_KEY, random)
    state = yield from _state(session)
    ring = yield from _ring(session)
    if (purse.CARD_CENTRE, number) in (*ring, (state.last_device, state.last_seq)):
        return Credited(state.counter, state.balance_fen, b"")
    is_full = len(ring) >= desk.RECORDS
    if attempted_at is not None and is_full and state.counter - attempted_at > desk.RECORDS:
        raise CreditRefused(f"attempted at counter {attempted_at}, which the ring has forgotten")
    if sold is not None:
        yield from _check_sold(session, state.counter, sold)
    try:
        after = purse.state_credited(state, amount_fen, number, time_s)
    except ValueError as error:
        raise CreditRefused(str(error)) from error
    try:
        yield from desk.ask(session, layout.ABORT_TRANSACTION)
    except ev2.CardStatus as refusal:
        # As in firmware/services/purse_desfire.py: there may be nothing to abort.
        if refusal.status != ev2.NO_CHANGES:
            raise
        session = yield from desk.login(ciphers, credit_key, layout.CREDIT_KEY, random)
    note_attempt(state.counter)
    mac = yield from _commit(session, after, amount_fen)
    return Credited(after.counter, after.balance_fen, mac)


def _state(session: ev2.Session) -> Generator[bytes, bytes, purse.PurseState]:
    data = yield from desk.ask(session, layout.READ_RECORDS, layout.NEWEST_STATE, hidden=True)
    value = yield from desk.ask(
        session, layout.GET_VALUE, bytes((layout.VALUE_FILE,)), hidden=True
    )
    (balance_fen,) = struct.unpack("<i", value)
    usage, record = data[: purse.USAGE_BYTES], data[purse.USAGE_BYTES :]
    return purse.decode_state(usage, record, balance_fen)


def _check_sold(session: ev2.Session, counter: int, sold: Sold) -> Generator[bytes, bytes, None]:
    """CreditRefused if the card has not gone on from there, or by another step if it tells that.

    Each step leaves a state, which names its record or the one before.
    """
    steps = counter - sold.counter
    if steps <= 0:
        raise CreditRefused(f"stands at {counter}, and was never sold to at {sold.counter}")
    if steps > _STATES_READ:
        return
    newest = layout.place(layout.STATE_FILE, steps)
    data = yield from desk.ask(session, layout.READ_RECORDS, newest, hidden=True)
    at_record = range(purse.USAGE_BYTES, len(data), layout.STATE_BYTES)
    if sold.record_id not in [struct.unpack(">II", data[at : at + 8]) for at in at_record]:
        raise CreditRefused(
            f"has gone on from {sold.counter} by another step than {sold.record_id}"
        )


def _ring(session: ev2.Session) -> Generator[bytes, bytes, list[tuple[int, int]]]:
    """(device, seq) of every credit in the ring, at most desk.RECORDS."""
    number = bytes((layout.CREDITS_FILE,))
    settings = yield from desk.ask(session, desk.FILE_SETTINGS, number)
    if not int.from_bytes(settings[_RECORDS_AT:], "little"):
        return []  # to read nothing is an error, and ends the session
    every = layout.place(layout.CREDITS_FILE, 0)
    data = yield from desk.ask(session, layout.READ_RECORDS, every, hidden=True)
    size = purse.RECORD_BYTES
    return [struct.unpack(">II", data[at : at + 8]) for at in range(0, len(data), size)]


def _commit(
    session: ev2.Session, state: purse.PurseState, amount_fen: int
) -> Generator[bytes, bytes, bytes]:
    data = layout.encode_state(state)
    yield from desk.ask(session, layout.WRITE_RECORD, layout.NEW_STATE, data)
    record = purse.encode_record(state)
    yield from desk.ask(
        session, layout.WRITE_RECORD, layout.place(layout.CREDITS_FILE, len(record)), record
    )
    yield from desk.ask(
        session,
        layout.CREDIT,
        bytes((layout.VALUE_FILE,)),
        struct.pack("<I", amount_fen),
    )
    name = layout.reader_id(state.last_device, state.last_seq)
    yield from desk.ask(session, layout.COMMIT_READER_ID, name)
    return (yield from desk.ask(session, layout.COMMIT_TRANSACTION, layout.WITH_TRANSACTION_MAC))
