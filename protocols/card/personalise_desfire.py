"""A new DESFire card, as the card centre makes it, and the other things only its keys can do.

No reader imports this. Everything is a generator: it yields a native command (bytes), is sent the
card's answer, and returns when the card is as it should be. So a desk can drive a card on its
table with it, and the ledger one that lies on a reader far away.

The spend key is changed last: until then no reader takes the card, and when one does, all its
other keys are the card centre's. What was left half done is begun anew.

Commands: AN12343 sections 5 to 11; their layout for EV2 is that of DESFire Light.
"""

import binascii
import struct

from protocols.card import ev2, pin
from protocols.card import purse_desfire as layout
from protocols.card.diversify import Cmac
from protocols.card.holder import NAME_BYTES
from protocols.card.identity import FORMAT, ForeignCard
from protocols.card.mailbox import BLOCK_BYTES, BLOCKS
from protocols.card.personalise import tries_given_back
from protocols.card.purse import USAGE_BYTES, decode_state
from protocols.card.transaction_mac import card_key

KEYS = 5
FACTORY_KEY = bytes(16)
RECORDS = 10
NO_NAME = bytes(NAME_BYTES)

PICC = b"\x00\x00\x00"
CREATE_APPLICATION, DELETE_APPLICATION = 0xCA, 0xDA
APPLICATION_IDS, FILE_IDS, FILE_SETTINGS = 0x6A, 0x6F, 0xF5
CREATE_STANDARD, CREATE_VALUE = 0xCD, 0xCC
CREATE_CYCLIC, CREATE_TRANSACTION_MAC = 0xC0, 0xCE
_CHANGE_KEY, _CHANGE_KEY_SETTINGS = 0xC4, 0x54

_HIDDEN, _MACED = 0x03, 0x01
_AES = 0x02
AES_KEYS = 0x80
_PICC_AES_KEY = 0x80
# Key settings: the master key changes keys and makes files; anyone may list; all can be changed.
SETTINGS = 0x0B
# Of the whole card: nobody makes or deletes applications, or formats it, without its master key.
PICC_SETTINGS = 0x09

_FREE, _NEVER = 0xE, 0xF
_RANDOM_BYTES = 16


class CardKeys:
    """All keys of one card: `application` (KEYS of them, by number), `transaction`, `picc`."""

    def __init__(self, uid, masters, version):
        """`masters` maps "master", "read", "purse", "credit", "transaction" to Cmacs."""
        names = ("master", "read", "purse", "credit", "purse")
        self.application = [
            layout.application_key(masters[name], uid, key_no) for key_no, name in enumerate(names)
        ]
        self.transaction = card_key(masters["transaction"], uid)
        self.picc = masters["master"].diversify(uid + b"P")
        self.version = version


class AlreadyPersonal(Exception):
    """The card is finished, or somebody else's."""


def rights(read, write, read_write, change):
    """Access rights as a create command has them: key numbers, 14 is free, 15 never."""
    return struct.pack("<H", read << 12 | write << 8 | read_write << 4 | change)


def login(ciphers, key, key_no, random, after=None):
    """The Session under `key`; see ev2.Login."""
    attempt = ev2.Login(ciphers, key, key_no, random(_RANDOM_BYTES), after)
    proof = attempt.prove((yield attempt.begin()))
    return attempt.session((yield proof))


def ask(session, code, header=b"", data=b"", hidden=False):
    """One command in a session; returns the data of its answer."""
    answer = yield session.command(code, header, data, ev2.FULL_COMMAND)
    return session.answer(answer, ev2.FULL_ANSWER if hidden else ev2.MAC)


def select(application):
    """Turn to an application; CardStatus when it is not there."""
    ev2.body_of((yield bytes((layout.SELECT_APPLICATION,)) + application))


def personalise(ciphers, identity, balance_fen, keys, random, verifier=pin.NO_PIN, name=NO_NAME):
    """Make a factory-new card (AES zero keys) ours; AlreadyPersonal when it is somebody's.

    `identity` is an Identity, `keys` the CardKeys of this card, random(n) gives n bytes,
    `verifier` is that of its PIN (protocols.card.pin), `name` its holder's as
    protocols.card.personalise.encode_name has it. What is raised in between leaves a card
    that the next run begins anew with.
    """
    session = yield from enter_picc(ciphers, keys, random)
    listed = yield from ask(session, APPLICATION_IDS)
    if layout.APPLICATION in [listed[at : at + 3] for at in range(0, len(listed), 3)]:
        yield from _discard(ciphers, keys, random)
    session = yield from enter_picc(ciphers, keys, random)
    created = layout.APPLICATION + bytes((SETTINGS, AES_KEYS | KEYS))
    yield from ask(session, CREATE_APPLICATION, created)
    yield from select(layout.APPLICATION)
    session = yield from login(ciphers, FACTORY_KEY, layout.MASTER_KEY, random)
    for code, header, data in files(identity, balance_fen, verifier, name):
        yield from ask(session, code, header, data)
    # There is nothing to read in a ring that was never written.
    session = yield from login(ciphers, FACTORY_KEY, layout.SPEND_KEY, random)
    yield from ask(session, layout.WRITE_RECORD, layout.NEW_STATE, bytes(layout.STATE_BYTES))
    yield from ask(session, layout.COMMIT_TRANSACTION)
    session = yield from login(ciphers, FACTORY_KEY, layout.MASTER_KEY, random)
    # Behind that: what it counts and signs begins with the first spend.
    yield from ask(session, *transaction_mac_file(keys))
    own = keys.application
    yield from change_key(session, layout.MASTER_KEY, own[0], FACTORY_KEY, keys.version)
    yield from lock_picc(ciphers, keys, random)
    yield from select(layout.APPLICATION)
    session = yield from login(ciphers, own[0], layout.MASTER_KEY, random)
    for key_no in (layout.READ_KEY, layout.CREDIT_KEY, layout.UID_KEY, layout.SPEND_KEY):
        yield from change_key(session, key_no, own[key_no], FACTORY_KEY, keys.version)


def is_finished(ciphers, keys, random):
    """Whether the application is ours and every key of it; AlreadyPersonal if it is not ours."""
    for key_no, key in (
        (layout.SPEND_KEY, keys.application[layout.SPEND_KEY]),
        (layout.MASTER_KEY, keys.application[layout.MASTER_KEY]),
        (layout.MASTER_KEY, FACTORY_KEY),
    ):
        yield from select(layout.APPLICATION)
        try:
            yield from login(ciphers, key, key_no, random)
            return key_no == layout.SPEND_KEY
        except ev2.CardStatus as refusal:
            if refusal.status != ev2.AUTHENTICATION_ERROR:
                raise
    raise AlreadyPersonal("the application has keys that are not ours")


def rotate(ciphers, old, new, random):
    """Give a card whose keys are `old` (CardKeys) the keys `new`, those of the application.

    Key 0 again goes last: as long as it is the old one, this can be done again.
    """
    yield from select(layout.APPLICATION)
    session = yield from login(ciphers, old.application[0], layout.MASTER_KEY, random)
    for key_no in range(KEYS - 1, -1, -1):
        have = old.application[key_no]
        try:
            yield from change_key(session, key_no, new.application[key_no], have, new.version)
        except ev2.CardStatus:
            # A run before this one was cut off behind this key: it is the new one already.
            session = yield from login(ciphers, old.application[0], layout.MASTER_KEY, random)
            want = new.application[key_no]
            yield from change_key(session, key_no, want, want, new.version)


def change_key(session, key_no, new, old, version):
    """Change key `key_no` from `old` to `new`; under key 0, which ends the session if it is 0."""
    number = key_no & 0x0F
    data = new + bytes((version,))
    if number != layout.MASTER_KEY:
        mixed = int.from_bytes(new, "big") ^ int.from_bytes(old, "big")
        check = binascii.crc32(new) ^ 0xFFFFFFFF
        data = mixed.to_bytes(16, "big") + bytes((version,)) + struct.pack("<I", check)
    answer = yield session.command(_CHANGE_KEY, bytes((key_no,)), data, ev2.FULL_COMMAND)
    if number == layout.MASTER_KEY:
        ev2.body_of(answer)
    else:
        session.answer(answer)


def enter_picc(ciphers, keys, random):
    """The Session with the whole card, under the factory's key or ours."""
    for key in (FACTORY_KEY, keys.picc):
        yield from select(PICC)
        try:
            return (yield from login(ciphers, key, 0, random))
        except ev2.CardStatus as refusal:
            if refusal.status != ev2.AUTHENTICATION_ERROR:
                raise
    raise AlreadyPersonal("the card has a master key that is not ours")


def _discard(ciphers, keys, random):
    """Delete an application that was begun and not finished."""
    if (yield from is_finished(ciphers, keys, random)):
        raise AlreadyPersonal("the card is ours")
    session = yield from enter_picc(ciphers, keys, random)
    yield from ask(session, DELETE_APPLICATION, layout.APPLICATION)


def lock_picc(ciphers, keys, random):
    """Give the whole card its own master key and settings; does no harm to one that has them."""
    session = yield from enter_picc(ciphers, keys, random)
    yield from ask(session, _CHANGE_KEY_SETTINGS, b"", bytes((PICC_SETTINGS,)))
    yield from change_key(session, _PICC_AES_KEY, keys.picc, FACTORY_KEY, keys.version)


def set_pin(ciphers, keys, random, verifier):
    """Put the verifier of a PIN on a card that is ours; one of before there were PINs, too."""
    yield from select(layout.APPLICATION)
    session = yield from login(ciphers, keys.application[0], layout.MASTER_KEY, random)
    listed = yield from ask(session, FILE_IDS)
    for code, header, data in _read_by_spenders(layout.PIN_FILE, verifier):
        if code != CREATE_STANDARD or layout.PIN_FILE not in listed:
            yield from ask(session, code, header, data)


def reset_tries(ciphers, keys, random):
    """Give a card its PIN tries back (personalise.tries_given_back), all of it or nothing.

    Returns whether there was anything to give back.
    """
    yield from select(layout.APPLICATION)
    key = keys.application[layout.SPEND_KEY]
    session = yield from login(ciphers, key, layout.SPEND_KEY, random)
    data = yield from ask(session, layout.READ_RECORDS, layout.NEWEST_STATE, hidden=True)
    (state,) = decode_ring(data)
    if not state.pin_tries:
        return False
    try:
        yield from ask(session, layout.ABORT_TRANSACTION)
    except ev2.CardStatus as refusal:
        # As in firmware/services/purse_desfire.py: there may be nothing to abort.
        if refusal.status != ev2.NO_CHANGES:
            raise
        session = yield from login(ciphers, key, layout.SPEND_KEY, random)
    plan = layout.Plan(tries_given_back(state), 0)
    yield from ask(session, layout.WRITE_RECORD, layout.NEW_STATE, plan.state)
    yield from ask(session, layout.COMMIT_READER_ID, plan.reader_id)
    yield from ask(session, layout.COMMIT_TRANSACTION, layout.WITH_TRANSACTION_MAC)
    return True


def decode_ring(data):
    """The PurseStates in `data`, records of the ring of states in a row; balances are left 0.

    ForeignCard for what is no row of them.
    """
    if len(data) % layout.STATE_BYTES:
        raise ForeignCard("size of a record")
    states = []
    for at in range(0, len(data), layout.STATE_BYTES):
        record = data[at : at + layout.STATE_BYTES]
        states.append(decode_state(record[:USAGE_BYTES], record[USAGE_BYTES:], 0))
    return states


def _read_by_spenders(file_no, data):
    access = rights(layout.SPEND_KEY, _NEVER, layout.MASTER_KEY, layout.MASTER_KEY)
    size = struct.pack("<HB", len(data), 0)
    yield CREATE_STANDARD, bytes((file_no, _HIDDEN)) + access + size, b""
    yield layout.WRITE_DATA, layout.place(file_no, len(data)), data


def files(identity, balance_fen, verifier=pin.NO_PIN, name=NO_NAME):
    """(code, header, hidden data) of every command that makes and fills a file.

    Left out: transaction_mac_file, and the first record of the ring of states.
    """
    told = struct.pack(
        FORMAT,
        identity.card_no,
        identity.kind,
        identity.valid_from,
        identity.valid_to,
        identity.key_version,
    )
    for number, reader in (
        (layout.DOOR_IDENTITY_FILE, layout.READ_KEY),
        (layout.IDENTITY_FILE, layout.SPEND_KEY),
    ):
        access = rights(reader, _NEVER, layout.MASTER_KEY, layout.MASTER_KEY)
        size = struct.pack("<HB", len(told), 0)
        yield CREATE_STANDARD, bytes((number, _HIDDEN)) + access + size, b""
        yield layout.WRITE_DATA, layout.place(number, len(told)), told
    yield from _read_by_spenders(layout.PIN_FILE, verifier)
    yield from _read_by_spenders(layout.NAME_FILE, name)
    yield mail_file()
    access = rights(layout.SPEND_KEY, _NEVER, layout.CREDIT_KEY, layout.MASTER_KEY)
    limits = struct.pack("<iiiB", 0, 0x7FFFFFFF, balance_fen, 0)
    yield CREATE_VALUE, bytes((layout.VALUE_FILE, _HIDDEN)) + access + limits, b""
    # "Read and write" is the credit key's: so a credit takes one login, and no reader may clear.
    access = rights(layout.SPEND_KEY, layout.SPEND_KEY, layout.CREDIT_KEY, layout.MASTER_KEY)
    yield _ring(layout.STATE_FILE, access, layout.STATE_BYTES)
    # It says which credits the card has had: no reader may push one out either.
    access = rights(_NEVER, _NEVER, layout.CREDIT_KEY, layout.MASTER_KEY)
    yield _ring(layout.CREDITS_FILE, access, layout.RECORD_BYTES)


def mail_file():
    """(code, header, hidden data) of the command that makes an empty mailbox."""
    access = rights(layout.READ_KEY, layout.READ_KEY, layout.MASTER_KEY, layout.MASTER_KEY)
    size = struct.pack("<HB", BLOCKS * BLOCK_BYTES, 0)
    return CREATE_STANDARD, bytes((layout.MAIL_FILE, _HIDDEN)) + access + size, b""


def add_mailbox(ciphers, keys, random):
    """Give a card that is ours a mailbox, if it was made before there were any; whether it was."""
    yield from select(layout.APPLICATION)
    session = yield from login(ciphers, keys.application[0], layout.MASTER_KEY, random)
    if layout.MAIL_FILE in (yield from ask(session, FILE_IDS)):
        return False
    yield from ask(session, *mail_file())
    return True


def _ring(file_no, access, record_bytes):
    size = struct.pack("<HBHB", record_bytes, 0, RECORDS + 1, 0)
    return CREATE_CYCLIC, bytes((file_no, _HIDDEN)) + access + size, b""


def transaction_mac_file(keys):
    """(code, header, hidden data) of the command that makes a card sign its transactions."""
    # Whoever may change the purse names the record it is for: every transaction has to.
    access = rights(layout.SPEND_KEY, _NEVER, _FREE, layout.MASTER_KEY)
    header = bytes((layout.TRANSACTION_MAC_FILE, _MACED)) + access + bytes((_AES,))
    return CREATE_TRANSACTION_MAC, header, keys.transaction + bytes((keys.version,))


def masters_of(ciphers, keys):
    """The Cmacs of CardKeys from master keys of 16 bytes by the same names."""
    return {name: Cmac(ciphers.aes(key)) for name, key in keys.items()}
