"""A DESFire on a desk: the card centre's dialogues, sent one native command after the other.

The dialogues themselves are those of protocols.card.personalise_desfire; what is here says which
of them a card needs, and what a card that was left half way, or is in use, is told.
"""

from collections.abc import Generator
from typing import Any

from adapters.aes import CIPHERS
from firmware.drivers.iso14443 import CardGone
from protocols.card import ev2, personalise_desfire, pin
from protocols.card import purse_desfire as layout
from protocols.card.diversify import Cmac
from protocols.card.identity import FIELDS_BYTES, ForeignCard, Identity
from protocols.card.personalise import encode_name
from tools.card.desk import Port
from tools.card.errors import BadInput, CardUnfit
from tools.card.keyfile import CardKeys
from tools.card.order import ALREADY, WRITTEN, Order
from tools.card.words import (
    DAMAGED,
    FOREIGN,
    HALF_DONE,
    IS_OURS,
    UNKNOWN,
    identity_words,
    nothing,
    purse_words,
    record_words,
)

SAK_ISO_DEP = 0x20
GET_VERSION, ADDITIONAL_FRAME = 0x60, 0xAF
_VERSION_PARTS = 3
_DIALOGUE_COMMANDS_MAX = 200

Dialogue = Generator[bytes, bytes, Any]


class Refused(CardUnfit):
    """The card answered with a DESFire status that is no success; `status` is it."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the card refuses: status {status:02x}")
        self.status = status


def drive(card: Port, dialogue: Dialogue) -> Any:
    """Run a dialogue with `card`; what it returns. Refused, CardGone for what is not genuine."""
    try:
        command = next(dialogue)
        for _ in range(_DIALOGUE_COMMANDS_MAX):
            command = dialogue.send(card.transmit(command))
    except StopIteration as end:
        return end.value
    except ev2.CardStatus as refusal:
        raise Refused(refusal.status) from None
    except ev2.NotGenuine as error:
        raise CardGone(f"not genuine: {error}") from None
    raise CardGone("the dialogue does not end")


def card_keys(card: Port, keys: CardKeys) -> personalise_desfire.CardKeys:
    """The keys of this card. BadInput when the file lacks one, CardUnfit for a random uid."""
    if len(card.uid) == layout.RANDOM_UID_BYTES:
        raise CardUnfit("the card shows a random uid, which this desk does not handle")
    masters = keys.desfire_masters()
    if masters is None:
        raise BadInput("a DESFire needs master_key, read_key and transaction_key as well")
    cmacs = personalise_desfire.masters_of(CIPHERS, masters)
    return personalise_desfire.CardKeys(card.uid, cmacs, keys.key_version)


def opens(card: Port, application: bytes, key: bytes, key_no: int) -> bool:
    """Whether a key opens an application (or the card); a session under it is open then."""

    def attempt() -> Dialogue:
        yield from personalise_desfire.select(application)
        return (yield from personalise_desfire.login(CIPHERS, key, key_no, card.random))

    try:
        drive(card, attempt())
    except Refused as refusal:
        if refusal.status not in (
            ev2.AUTHENTICATION_ERROR,
            ev2.NO_SUCH_KEY,
            ev2.APPLICATION_NOT_FOUND,
        ):
            raise
        return False
    return True


# ---------------------------------------------------------------- writing


def write_card(card: Port, order: Order, keys: CardKeys, again: bool) -> str:
    """Make `card` what `order` says: WRITTEN, or ALREADY when it was so before.

    BadInput, CardUnfit and CardGone as on a MIFARE Classic (tools.card.classic.write_card).
    """
    own = card_keys(card, keys)
    identity = _checked(order, keys.key_version)
    told = verifier(card, order.card_no, order.digits, keys)
    name = _name(order.name)
    try:
        if again:
            drive(card, _remove(card, own))
        dialogue = personalise_desfire.personalise(
            CIPHERS, identity, order.balance_fen, own, card.random, told, name
        )
        drive(card, dialogue)
    except personalise_desfire.AlreadyPersonal as error:
        if not opens(card, layout.APPLICATION, own.application[0], layout.MASTER_KEY):
            raise CardUnfit(f"somebody else's card, or another key generation: {error}") from None
        if not _is_as_ordered(card, own, identity, order, (told, name)):
            raise CardUnfit("the card is ours already and may be in use") from None
        return ALREADY
    if not _is_as_ordered(card, own, identity, order, (told, name)):
        raise CardUnfit("the card does not keep what was written")
    return WRITTEN


def _checked(order: Order, key_version: int) -> Identity:
    bounds = (
        ("card_no", order.card_no, 0xFFFFFFFF),
        ("kind", order.kind, 0xFF),
        ("valid_from", order.valid_from, 0xFFFF),
        ("valid_to", order.valid_to, 0xFFFF),
        ("balance_fen", order.balance_fen, 0x7FFFFFFF),
    )
    for name, value, maximum in bounds:
        if not 0 <= value <= maximum:
            raise BadInput(f"{name} {value} is not in 0..{maximum}")
    if order.valid_to < order.valid_from:
        raise BadInput("valid_to before valid_from")
    return order.identity(key_version)


def _name(name: str) -> bytes:
    try:
        return encode_name(name)
    except ValueError as error:
        raise BadInput(error) from None


def _remove(card: Port, own: personalise_desfire.CardKeys) -> Dialogue:
    """Delete our application, money and all; nothing happens where there is none."""
    desk = personalise_desfire
    session = yield from desk.enter_picc(CIPHERS, own, card.random)
    listed = yield from desk.ask(session, desk.APPLICATION_IDS)
    if layout.APPLICATION in applications(listed):
        yield from desk.ask(session, desk.DELETE_APPLICATION, layout.APPLICATION)


def applications(listed: bytes) -> list[bytes]:
    """The identifiers in an answer of 3 bytes for each."""
    return [listed[at : at + 3] for at in range(0, len(listed), 3)]


def _is_as_ordered(
    card: Port,
    own: personalise_desfire.CardKeys,
    identity: Identity,
    order: Order,
    told: tuple[bytes, bytes],
) -> bool:
    """`told`: the verifier of its PIN and the name of its holder."""
    try:
        view = drive(card, reading(card, own))
        found = tuple(
            drive(card, _reading_file(card, own, file_no, len(data)))
            for file_no, data in zip((layout.PIN_FILE, layout.NAME_FILE), told, strict=True)
        )
    except (ForeignCard, Refused):
        return False
    names = ("card_no", "kind", "valid_from", "valid_to", "key_version")
    is_same = all(getattr(view, name) == getattr(identity, name) for name in names)
    return is_same and (view.counter, view.balance_fen, found) == (0, order.balance_fen, told)


# ---------------------------------------------------------------- the PIN


def verifier(card: Port, card_no: int, digits: bytes, keys: CardKeys) -> bytes:
    """What stands on the card for its PIN; without digits, that of none."""
    if not digits:
        return pin.NO_PIN
    return pin.verifier(Cmac(CIPHERS.aes(keys.mac_key)), card.uid, card_no, digits, CIPHERS.aes)


def set_pin(card: Port, keys: CardKeys, digits: bytes) -> None:
    """Set the PIN of a card that is ours. CardUnfit for any other; CardGone."""
    own = card_keys(card, keys)
    try:
        view = drive(card, reading(card, own))
    except ForeignCard as error:
        raise CardUnfit(f"not a card of ours: {error}") from None
    told = verifier(card, view.card_no, digits, keys)
    drive(card, personalise_desfire.set_pin(CIPHERS, own, card.random, told))
    if drive(card, _reading_file(card, own, layout.PIN_FILE, pin.VERIFIER_BYTES)) != told:
        raise CardUnfit("the card does not keep what was written")


def reset_tries(card: Port, keys: CardKeys) -> bool:
    """Give the PIN tries back; whether there were any to give. Errors as of `set_pin`."""
    own = card_keys(card, keys)
    try:
        return drive(card, personalise_desfire.reset_tries(CIPHERS, own, card.random))
    except ForeignCard as error:
        raise CardUnfit(f"not a card of ours: {error}") from None


def _reading_file(
    card: Port, own: personalise_desfire.CardKeys, file_no: int, length: int
) -> Dialogue:
    desk = personalise_desfire
    yield from desk.select(layout.APPLICATION)
    key = own.application[layout.SPEND_KEY]
    session = yield from desk.login(CIPHERS, key, layout.SPEND_KEY, card.random)
    place = layout.place(file_no, length)
    return (yield from desk.ask(session, layout.READ_DATA, place, hidden=True))


def add_mailbox(card: Port, keys: CardKeys) -> bool:
    """Give a card of ours a mailbox; whether it had none. CardUnfit for any other; CardGone."""
    own = card_keys(card, keys)
    try:
        return drive(card, personalise_desfire.add_mailbox(CIPHERS, own, card.random))
    except Refused as refusal:
        raise CardUnfit(f"not a card of ours: {refusal}") from None


# ---------------------------------------------------------------- reading


def reading(card: Port, own: personalise_desfire.CardKeys) -> Dialogue:
    """The PurseView of a card, read as a reader does; ForeignCard for nonsense."""
    desk = personalise_desfire
    yield from desk.select(layout.APPLICATION)
    key = own.application[layout.SPEND_KEY]
    session = yield from desk.login(CIPHERS, key, layout.SPEND_KEY, card.random)
    place = layout.place(layout.IDENTITY_FILE, FIELDS_BYTES)
    identity = yield from desk.ask(session, layout.READ_DATA, place, hidden=True)
    # Zeros, as long as nothing was spent: counter 0 and no record.
    state = yield from desk.ask(session, layout.READ_RECORDS, layout.NEWEST_STATE, hidden=True)
    number = bytes((layout.VALUE_FILE,))
    value = yield from desk.ask(session, layout.GET_VALUE, number, hidden=True)
    return layout.decode_card(card.uid, identity, state, value)


def states(card: Port, own: personalise_desfire.CardKeys) -> Dialogue:
    """The PurseStates in the ring of a card, without their balances; ForeignCard for nonsense."""
    desk = personalise_desfire
    yield from desk.select(layout.APPLICATION)
    key = own.application[layout.SPEND_KEY]
    session = yield from desk.login(CIPHERS, key, layout.SPEND_KEY, card.random)
    every = layout.place(layout.STATE_FILE, 0)
    ring = yield from desk.ask(session, layout.READ_RECORDS, every, hidden=True)
    return desk.decode_ring(ring)


def read_card(card: Port, keys: CardKeys | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the card says (see words.nothing), and for a dump what anybody can read."""
    readable = {"version": [part.hex() for part in version_of(card)]}
    if keys is None:
        return nothing(UNKNOWN), readable
    try:
        own = card_keys(card, keys)
    except (BadInput, CardUnfit) as error:
        return nothing(UNKNOWN) | {"trouble": str(error)}, readable
    try:
        if not drive(card, personalise_desfire.is_finished(CIPHERS, own, card.random)):
            return nothing(HALF_DONE), readable
    except personalise_desfire.AlreadyPersonal:
        return nothing(FOREIGN), readable
    try:
        view = drive(card, reading(card, own))
        ring = drive(card, states(card, own))
    except (ForeignCard, Refused) as error:
        return nothing(DAMAGED) | {"trouble": str(error)}, readable
    said = {"identity": identity_words(view), "purse": purse_words(view)}
    return nothing(IS_OURS) | said | {"last_records": record_words(ring)}, readable


def version_of(card: Port) -> list[bytes]:
    """Hardware, software and production of the card, as far as it tells."""
    parts: list[bytes] = []
    command = bytes((GET_VERSION,))
    for _ in range(_VERSION_PARTS):
        answer = card.transmit(command)
        if not answer or answer[0] not in (ev2.OK, ev2.MORE):
            break
        parts.append(answer[1:])
        if answer[0] == ev2.OK:
            break
        command = bytes((ADDITIONAL_FRAME,))
    return parts


def tap(card: Port, keys: CardKeys | None) -> None:
    """Read what a reader reads; without keys, ask for the version as anybody can."""
    if keys is None:
        version_of(card)
        return
    drive(card, reading(card, card_keys(card, keys)))
