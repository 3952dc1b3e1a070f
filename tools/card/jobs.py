"""The commands of `onecard card`, whatever the desk and the card.

Each takes a desk and gives an `Answer`. What can be done with a kind of card stands in KINDS, one
entry for each; a card that fits none of them still tells its uid.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firmware.drivers.mifare_classic import KEY_A, KEY_B, AuthFailed, CardRefused
from protocols.card.identity import ForeignCard
from protocols.card.purse_classic import BLOCKS_PER_SECTOR, READ_ORDER, READER_KEYS, WRITE_KEY
from tools.card import (
    classic,
    classic_check,
    classic_info,
    classic_pin,
    decode,
    desfire,
    desfire_check,
)
from tools.card.desk import Desk, Port
from tools.card.dump import write_dump
from tools.card.errors import BadInput, CardUnfit
from tools.card.keyfile import CardKeys
from tools.card.order import Order
from tools.card.report import Report
from tools.card.trace import Exchange

PASSED, FAILED = 0, 1
_SAK_NAMES = {
    0x00: "MIFARE Ultralight or NTAG",
    0x08: "MIFARE Classic 1K",
    0x09: "MIFARE Classic Mini",
    0x18: "MIFARE Classic 4K",
    0x20: "ISO 14443-4 card (DESFire, CPU card, phone)",
    0x28: "CPU card with MIFARE Classic 1K",
}


@dataclass(frozen=True)
class Answer:
    """What a command says: `lines` for people, `data` for --json, and the exit code."""

    lines: list[str]
    data: dict[str, Any]
    exit_code: int = PASSED


@dataclass(frozen=True)
class Kind:
    """What can be done with a kind of card that `fits` a SAK."""

    fits: Callable[[int], bool]
    write: Callable[[Port, Order, CardKeys, bool], str]
    check: Callable[[Port, CardKeys], Report]
    read: Callable[[Port, CardKeys | None], tuple[dict[str, Any], dict[str, Any]]]
    tap: Callable[[Port, CardKeys | None], None]
    set_pin: Callable[[Port, CardKeys, bytes], None]
    reset_tries: Callable[[Port, CardKeys], bool]
    add_mailbox: Callable[[Port, CardKeys], bool]


def _read_classic(card: Port, keys: CardKeys | None) -> tuple[dict[str, Any], dict[str, Any]]:
    reading = classic_info.Reading(card, keys)
    return classic_info.describe(reading), reading.dump()


def _tap_classic(card: Port, keys: CardKeys | None) -> None:
    """Read what a reader reads; without keys, try the first block as anybody can."""
    if keys is None:
        card.authenticate(0, classic.FACTORY_KEY, KEY_A)
        card.read(0)
        return
    own = classic.SectorKeys(keys, card.uid)
    sector = -1
    for block in READ_ORDER:
        if block // BLOCKS_PER_SECTOR != sector:
            sector = block // BLOCKS_PER_SECTOR
            is_b = READER_KEYS[sector] == WRITE_KEY
            key = own.key_b(sector) if is_b else own.key_a(sector)
            card.authenticate(block, key, KEY_B if is_b else KEY_A)
        card.read(block)


KINDS = (
    Kind(
        lambda sak: bool(sak & classic.SAK_CLASSIC_1K),
        classic.write_card,
        classic_check.check,
        _read_classic,
        _tap_classic,
        classic_pin.set_pin,
        classic_pin.reset_tries,
        classic.add_mailbox,
    ),
    Kind(
        lambda sak: bool(sak & desfire.SAK_ISO_DEP),
        desfire.write_card,
        desfire_check.check,
        desfire.read_card,
        desfire.tap,
        desfire.set_pin,
        desfire.reset_tries,
        desfire.add_mailbox,
    ),
)


def _kind(card: Port) -> Kind | None:
    return next((kind for kind in KINDS if kind.fits(card.sak)), None)


def _known_kind(card: Port) -> Kind:
    kind = _kind(card)
    if kind is None:
        raise CardUnfit(f"{_name(card)}: nothing of ours stands on such a card")
    return kind


def _name(card: Port) -> str:
    return _SAK_NAMES.get(card.sak, f"card of SAK {card.sak:02x}")


def personalise(desk: Desk, order: Order, keys: CardKeys, again: bool) -> Answer:
    """Write a whole card. CardUnfit when it cannot be; see the kind's own `write`."""
    card = desk.card()
    result = _known_kind(card).write(card, order, keys, again)
    said = {"uid": card.uid.hex(), "kind": _name(card), "result": result, "card_no": order.card_no}
    return Answer([f"card {order.card_no} on {card.uid.hex()}: {result}, read back, right"], said)


def pin(desk: Desk, keys: CardKeys, digits: bytes) -> Answer:
    """Set the PIN, if there are digits, and give the tries back. CardUnfit for a card not ours.

    The PIN first: cut between the two, the card still has the tries that it had.
    """
    card = desk.card()
    kind = _known_kind(card)
    try:
        if digits:
            kind.set_pin(card, keys, digits)
        is_reset = kind.reset_tries(card, keys)
    except AuthFailed as error:
        raise CardUnfit(f"the card does not know our key: {error}") from None
    said = {"uid": card.uid.hex(), "kind": _name(card), "set": bool(digits), "reset": is_reset}
    done = ["PIN set, read back, right"] if digits else []
    done.append("tries given back" if is_reset else "no try was used")
    return Answer([f"{card.uid.hex()}: {', '.join(done)}"], said)


def mailbox(desk: Desk, keys: CardKeys) -> Answer:
    """Give a card that was made before there were any a mailbox. CardUnfit for a card not ours."""
    if not keys.read_key:
        raise BadInput("a mailbox needs read_key in the key file")
    card = desk.card()
    try:
        is_new = _known_kind(card).add_mailbox(card, keys)
    except AuthFailed as error:
        raise CardUnfit(f"the card does not know our key: {error}") from None
    said = {"uid": card.uid.hex(), "kind": _name(card), "added": is_new}
    return Answer([f"{card.uid.hex()}: {'has a mailbox now' if is_new else 'has one'}"], said)


def info(desk: Desk, keys: CardKeys | None, dump: Path | None) -> Answer:
    """Say what lies on the desk; with `dump`, also what could be read, without keys."""
    card = desk.card()
    kind = _kind(card)
    said: dict[str, Any] = {
        "desk": desk.name,
        "kind": _name(card),
        "uid": card.uid.hex(),
        "sak": f"{card.sak:02x}",
    }
    readable: dict[str, Any] = {}
    if kind is not None:
        found, readable = kind.read(card, keys)
        said |= found
    if dump is not None:
        try:
            write_dump(dump, _name(card), card.uid, readable)
        except OSError as error:
            raise BadInput(f"{dump}: {error.strerror}") from None
    return Answer(list(_info_lines(said)), said)


def _info_lines(said: dict[str, Any]) -> list[str]:
    rows = [(name, said[name]) for name in ("desk", "kind", "uid", "sak")]
    if "belongs" not in said:
        return [f"{name:<12}{text}" for name, text in rows]
    rows.append(("belongs", said["belongs"]))
    if said["trouble"]:
        rows.append(("trouble", said["trouble"]))
    identity, purse = said["identity"], said["purse"]
    if identity:
        rows += [("card no", identity["card_no"]), ("holder", identity["kind"])]
        rows.append(("valid", f"{identity['valid_from']} to {identity['valid_to']}"))
        rows.append(("keys", f"generation {identity['key_version']}"))
    if purse:
        rows.append(("balance", _money(purse["balance_fen"])))
        rows.append(("spends", f"{purse['counter']} so far, PIN tries {purse['pin_tries']}"))
    for last in said["last_records"]:
        where = f"{_money(last['amount_fen'])}, device {last['device']}, record {last['seq']}"
        rows.append(("last", f"{where}, {last['time']}"))
    if "opened" in said:
        counts = Counter(said["opened"])
        rows.append(("sectors", ", ".join(f"{count} {key}" for key, count in counts.items())))
    return [f"{name:<12}{text}" for name, text in rows]


def _money(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d} yuan"


def verify(desk: Desk, keys: CardKeys) -> Answer:
    """One line for each deviation from the layout; FAILED when there is one."""
    card = desk.card()
    report = _known_kind(card).check(card, keys)
    lines = [str(deviation) for deviation in report.deviations]
    lines += [f"remark: {remark}" for remark in report.remarks]
    if not report.deviations:
        lines.append(f"{card.uid.hex()}: as the layout demands")
    said = {
        "uid": card.uid.hex(),
        "kind": _name(card),
        "passed": not report.deviations,
        "deviations": [asdict(deviation) for deviation in report.deviations],
        "remarks": report.remarks,
    }
    return Answer(lines, said, FAILED if report.deviations else PASSED)


def tap(desk: Desk, keys: CardKeys | None) -> Answer:
    """Do what a reader does at a tap, and show every frame of it; FAILED when the card refuses."""
    exit_code = PASSED
    card = desk.card()
    kind = _kind(card)
    if kind is not None:
        try:
            kind.tap(card, keys)
        except (AuthFailed, CardRefused, CardUnfit, ForeignCard):
            exit_code = FAILED  # the frames say which and how
    return show(desk.recorder.exchanges, exit_code)


def show(exchanges: list[Exchange], exit_code: int = PASSED) -> Answer:
    """Recorded exchanges, decoded."""
    lines = list(decode.decode(exchanges))
    return Answer(decode.to_text(lines), {"lines": [asdict(line) for line in lines]}, exit_code)
