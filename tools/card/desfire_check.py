"""Whether a DESFire is in every key, file, right and value what the layout demands.

What a file must be is taken from the commands that make it, so there is one table of the layout.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

from adapters.aes import CIPHERS
from protocols.card import personalise_desfire as desk
from protocols.card import purse_desfire as layout
from protocols.card.identity import FIELDS_BYTES, ForeignCard, Identity
from protocols.rules.meals import PERIOD_USE_MAX
from tools.card.desfire import Dialogue, Refused, card_keys, drive, opens, reading
from tools.card.desk import Port
from tools.card.keyfile import CardKeys
from tools.card.report import Deviation, Report

_KEY_SETTINGS, _KEY_VERSION = 0x45, 0x64
_KEY_NAMES = ("master", "read", "spend", "credit", "uid")


def _standard(header: bytes, _data: bytes) -> bytes:
    """Its kind, then what the command that made it said behind the number."""
    return b"\x00" + header[1:]


def _value(header: bytes, _data: bytes) -> bytes:
    """Rights and limits, which stay as they were made; what follows moves with every spend."""
    return b"\x02" + header[1:12]


def _cyclic(header: bytes, _data: bytes) -> bytes:
    """Without the count of records, which grows."""
    return b"\x04" + header[1:10]


def _transaction_mac(header: bytes, data: bytes) -> bytes:
    return b"\x05" + header[1:] + data[-1:]


# Code that makes a file -> the begin of the answer to GetFileSettings of it.
_EXPECTED: dict[int, Callable[[bytes, bytes], bytes]] = {
    desk.CREATE_STANDARD: _standard,
    desk.CREATE_VALUE: _value,
    desk.CREATE_CYCLIC: _cyclic,
    desk.CREATE_TRANSACTION_MAC: _transaction_mac,
}


def file_settings(own: Any) -> dict[int, bytes]:
    """File number -> how the answer to GetFileSettings must begin."""
    made = (*desk.files(Identity(0, 0, 0, 0, 0), 0), desk.transaction_mac_file(own))
    return {
        header[0]: _EXPECTED[code](header, data)
        for code, header, data in made
        if code in _EXPECTED
    }


def check(card: Port, keys: CardKeys) -> Report:
    """Everything that is wrong with `card`. CardGone, BusFault, BadInput for missing keys."""
    own = card_keys(card, keys)
    found = list(_check_keys(card, own))
    # Without the master key nothing more can be asked that would be believed.
    if opens(card, layout.APPLICATION, own.application[0], layout.MASTER_KEY):
        found += drive(card, _check_application(card, own))
    if opens(card, layout.APPLICATION, own.application[layout.SPEND_KEY], layout.SPEND_KEY):
        found += _check_contents(card, own, keys.key_version)
    return Report(found, [])


def _check_keys(card: Port, own: Any) -> Iterator[Deviation]:
    wanted = [("card", "master", desk.PICC, own.picc, 0)]
    wanted += [
        ("application", name, layout.APPLICATION, own.application[key_no], key_no)
        for key_no, name in enumerate(_KEY_NAMES)
    ]
    for where, name, application, key, key_no in wanted:
        if opens(card, application, key, key_no):
            continue
        is_new = opens(card, application, desk.FACTORY_KEY, key_no)
        said = f"its {name} key is {'the factory' if is_new else 'not our'}'s"
        yield Deviation(where, said.replace("not our's", "not ours"))


def _check_application(card: Port, own: Any) -> Dialogue:
    """A dialogue that returns deviations of settings, key versions and files."""
    found: list[Deviation] = []
    yield from desk.select(layout.APPLICATION)
    session = yield from desk.login(CIPHERS, own.application[0], layout.MASTER_KEY, card.random)
    settings = yield from desk.ask(session, _KEY_SETTINGS)
    wanted = bytes((desk.SETTINGS, desk.AES_KEYS | desk.KEYS))
    if settings != wanted:
        said = f"key settings {settings.hex()} instead of {wanted.hex()}"
        found.append(Deviation("application", said))
    for key_no, name in enumerate(_KEY_NAMES):
        version = yield from desk.ask(session, _KEY_VERSION, bytes((key_no,)))
        if version != bytes((own.version,)):
            said = f"its {name} key is of generation {version.hex()}, not {own.version:02x}"
            found.append(Deviation("application", said))
    numbers = yield from desk.ask(session, desk.FILE_IDS)
    expected = file_settings(own)
    for number in sorted({*numbers, *expected}):
        if number not in numbers or number not in expected:
            said = "is missing" if number in expected else "does not belong there"
            found.append(Deviation(f"file {number}", said))
            continue
        settings = yield from desk.ask(session, desk.FILE_SETTINGS, bytes((number,)))
        begin = expected[number]
        is_limited = number == layout.VALUE_FILE and settings[-1:] != bytes(1)
        if settings[: len(begin)] != begin or is_limited:
            said = f"settings {settings.hex()} instead of {begin.hex()}"
            found.append(Deviation(f"file {number}", said))
    return found


def _check_contents(card: Port, own: Any, key_version: int) -> Iterator[Deviation]:
    try:
        view = drive(card, reading(card, own))
    except ForeignCard as error:
        yield Deviation("purse", f"makes no sense: {error}")
        return
    except Refused as error:
        yield Deviation("purse", str(error))
        return
    if view.valid_to < view.valid_from:
        yield Deviation("identity", "its validity ends before it begins")
    if view.key_version != key_version:
        said = f"says key generation {view.key_version}, and opens with {key_version}"
        yield Deviation("identity", said)
    if view.period_use > PERIOD_USE_MAX:
        yield Deviation("purse", f"period_use {view.period_use}, which no reader writes")
    try:
        doors = drive(card, _door_identity(card, own))
    except Refused as error:
        yield Deviation(f"file {layout.DOOR_IDENTITY_FILE}", str(error))
        return
    names = ("card_no", "kind", "valid_from", "valid_to", "key_version")
    if struct.unpack(desk.FORMAT, doors) != tuple(getattr(view, name) for name in names):
        said = "tells doors another identity than readers are told"
        yield Deviation(f"file {layout.DOOR_IDENTITY_FILE}", said)


def _door_identity(card: Port, own: Any) -> Dialogue:
    yield from desk.select(layout.APPLICATION)
    key = own.application[layout.READ_KEY]
    session = yield from desk.login(CIPHERS, key, layout.READ_KEY, card.random)
    place = layout.place(layout.DOOR_IDENTITY_FILE, FIELDS_BYTES)
    return (yield from desk.ask(session, layout.READ_DATA, place, hidden=True))
