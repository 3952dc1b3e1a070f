"""Commands of DESFire EV2 that select, prove keys, and manage card, applications and keys.

Limits of the model: AES keys only, no ISO/IEC 7816-4 names and file numbers, no delegated
applications, no key sets; parameters that would ask for those are refused with PARAMETER_ERROR or
LENGTH_ERROR. `busy_us` of each command has its source beside it; [T] is a public capture of real
cards (rfid notes, C3), the rest is assumption.
"""

from functools import partial

from simulator.cards.ats import Terms
from simulator.cards.desfire_conversation import (
    Call,
    Command,
    Conversation,
    More,
    Reply,
    hidden,
    raw,
    with_mac,
)
from simulator.cards.desfire_memory import (
    CHANGED_BY_ITSELF,
    FREE_CREATE,
    FREE_DIRECTORY,
    KEY_COUNT_BITS,
    KEY_KIND_AES,
    KEY_KIND_BITS,
    KEYS_FROZEN,
    KEYS_MAX,
    MASTER_CHANGEABLE,
    PICC,
    SETTINGS_CHANGEABLE,
    new_application,
)
from simulator.cards.desfire_messaging import (
    BLOCK_BYTES,
    KEY_BYTES,
    TI_BYTES,
    Session,
    cbc_decrypt,
    cbc_encrypt,
    crc32_key,
    rotated,
    session_keys,
)
from simulator.cards.desfire_status import (
    APPLICATION_NOT_FOUND,
    AUTHENTICATION_ERROR,
    DUPLICATE_ERROR,
    INTEGRITY_ERROR,
    LENGTH_ERROR,
    NO_SUCH_KEY,
    OUT_OF_EEPROM,
    PARAMETER_ERROR,
    PERMISSION_DENIED,
    Refused,
)

AUTHENTICATE_SECOND_US = 2_000  # [T] 2.03 ms for 3DES

CAPABILITY_BYTES = 6
PICC_CAPABILITIES = bytes(CAPABILITY_BYTES)

# GetVersion: vendor, type, subtype, major, minor, storage (8 kB), protocol.
HARDWARE_VERSION = bytes.fromhex("04010112001a05")
SOFTWARE_VERSION = bytes.fromhex("04010102011a05")
BATCH = bytes.fromhex("ba5e000001") + b"\x01\x20"  # batch, then week and year of making

AID_BYTES = 3
FRAME_DATA_BYTES = 59  # data in one native frame of an answer

# SetConfiguration, and the bits of its option 0.
OPTION_CARD, OPTION_ATS = 0x00, 0x02
FORMAT_DISABLED, RANDOM_UID = 0x01, 0x02


# -------------------------------------------------------------------- selection and proof


def _select(talk: Conversation, call: Call) -> bytes:
    talk.fail()
    if talk.memory.at(call.header) is None:
        raise Refused(APPLICATION_NOT_FOUND)
    talk.selected = call.header
    return b""


def _authenticate_first(talk: Conversation, call: Call) -> Reply:
    key_no, announced = call.header
    if announced != len(call.data) or announced > CAPABILITY_BYTES:
        raise Refused(LENGTH_ERROR)
    talk.fail()
    capabilities = call.data.ljust(CAPABILITY_BYTES, b"\x00")
    return _challenge(talk, key_no, None, capabilities)


def _authenticate_next(talk: Conversation, call: Call) -> Reply:
    """Keeps TI, counter and what is pending: the same transaction goes on under another key."""
    if talk.session is None:
        raise Refused(PERMISSION_DENIED)
    old, talk.session = talk.session, None
    return _challenge(talk, call.header[0], old, b"")


def _challenge(talk: Conversation, key_no: int, old: Session | None, capabilities: bytes) -> Reply:
    key = talk.key_at(key_no)
    nonce = talk.rng.randbytes(BLOCK_BYTES)
    then = partial(_prove, talk, key_no, nonce, old, capabilities)
    return More(cbc_encrypt(key, nonce), then, AUTHENTICATE_SECOND_US)


def _prove(
    talk: Conversation,
    key_no: int,
    nonce: bytes,
    old: Session | None,
    capabilities: bytes,
    body: bytes,
) -> bytes:
    if len(body) != 2 * BLOCK_BYTES:
        raise Refused(LENGTH_ERROR)
    key = talk.key_at(key_no)
    opened = cbc_decrypt(key, body)
    theirs, proof = opened[:BLOCK_BYTES], opened[BLOCK_BYTES:]
    if proof != rotated(nonce):
        raise Refused(AUTHENTICATION_ERROR)
    keys = session_keys(key, theirs, nonce)
    if old is not None:
        talk.session = Session(key_no, keys, old.ti, old.counter)
        return cbc_encrypt(key, rotated(theirs))
    ti = talk.rng.randbytes(TI_BYTES)
    talk.session = Session(key_no, keys, ti)
    return cbc_encrypt(key, ti + rotated(theirs) + PICC_CAPABILITIES + capabilities)


# -------------------------------------------------------------------- the card


def _get_version(talk: Conversation, _call: Call) -> bytes:
    is_shown = not talk.memory.has_random_uid or talk.session is not None
    uid = talk.uid if is_shown else bytes(len(talk.uid))
    return HARDWARE_VERSION + SOFTWARE_VERSION + uid + BATCH


def _get_card_uid(talk: Conversation, _call: Call) -> bytes:
    return talk.uid


def _free_memory(talk: Conversation, _call: Call) -> bytes:
    return talk.memory.free_bytes.to_bytes(3, "little")


def _format(talk: Conversation, _call: Call) -> bytes:
    talk.need_picc()
    talk.need_master()
    if not talk.memory.can_format:
        raise Refused(PERMISSION_DENIED)
    talk.memory.applications.clear()
    return b""


def _configure(talk: Conversation, call: Call) -> bytes:
    talk.need_picc()
    talk.need_master()
    option = call.header[0]
    if option == OPTION_CARD and len(call.data) == 1:
        flags = call.data[0]
        if flags & ~(FORMAT_DISABLED | RANDOM_UID):
            raise Refused(PARAMETER_ERROR)
        talk.memory.can_format &= not flags & FORMAT_DISABLED
        talk.memory.has_random_uid |= bool(flags & RANDOM_UID)  # there is no way back
    elif option == OPTION_ATS:
        try:
            talk.memory.ats = Terms(call.data).ats
        except ValueError:
            raise Refused(PARAMETER_ERROR) from None
    else:
        raise Refused(LENGTH_ERROR if option == OPTION_CARD else PARAMETER_ERROR)
    return b""


# -------------------------------------------------------------------- applications


def _application_ids(talk: Conversation, _call: Call) -> bytes:
    talk.need_picc()
    talk.need_master(unless=bool(talk.level.settings & FREE_DIRECTORY))
    return b"".join(talk.memory.applications)


def _create_application(talk: Conversation, call: Call) -> bytes:
    aid, settings, options = call.header[:AID_BYTES], call.header[3], call.header[4]
    talk.need_picc()
    talk.need_master(unless=bool(talk.level.settings & FREE_CREATE))
    count = options & KEY_COUNT_BITS
    others = options & ~(KEY_COUNT_BITS | KEY_KIND_BITS)
    if aid == PICC or options & KEY_KIND_BITS != KEY_KIND_AES or others:
        raise Refused(PARAMETER_ERROR)
    if not 1 <= count <= KEYS_MAX:
        raise Refused(PARAMETER_ERROR)
    if aid in talk.memory.applications:
        raise Refused(DUPLICATE_ERROR)
    fresh = new_application(settings, count)
    if fresh.eeprom_bytes > talk.memory.free_bytes:
        raise Refused(OUT_OF_EEPROM)
    talk.memory.applications[aid] = fresh
    return b""


def _delete_application(talk: Conversation, call: Call) -> bytes:
    """By the card's master key, or by its own where the card lets anybody create."""
    aid = call.header
    if talk.selected != PICC:
        if aid != talk.selected or not talk.memory.master.settings & FREE_CREATE:
            raise Refused(PERMISSION_DENIED)
    talk.need_master()
    if aid not in talk.memory.applications:
        raise Refused(APPLICATION_NOT_FOUND)
    del talk.memory.applications[aid]
    if talk.selected == aid:
        talk.selected, talk.session = PICC, None
    return b""


# -------------------------------------------------------------------- keys


def _key_settings(talk: Conversation, _call: Call) -> bytes:
    talk.need_master(unless=bool(talk.level.settings & FREE_DIRECTORY))
    return bytes((talk.level.settings, KEY_KIND_AES | len(talk.level.keys)))


def _change_key_settings(talk: Conversation, call: Call) -> bytes:
    talk.need_master()
    if not talk.level.settings & SETTINGS_CHANGEABLE:
        raise Refused(PERMISSION_DENIED)
    talk.level.settings = call.data[0]
    return b""


def _key_version(talk: Conversation, call: Call) -> bytes:
    key_no = call.header[0]
    talk.key_at(key_no)
    return bytes((talk.level.versions[key_no],))


def _change_key(talk: Conversation, call: Call) -> bytes:
    """Own key: new key, version. Another: new key xor old, version, CRC-32 of the new one."""
    named = call.header[0]
    if talk.selected == PICC:
        named &= ~KEY_KIND_BITS  # there the upper bits may tell the kind of key
    old = talk.key_at(named)
    own = _may_change(talk, named)
    if len(call.data) != KEY_BYTES + 1 + (0 if own else 4):
        raise Refused(LENGTH_ERROR)
    new, version = call.data[:KEY_BYTES], call.data[KEY_BYTES]
    if not own:
        new = bytes(a ^ b for a, b in zip(new, old, strict=True))
        if call.data[KEY_BYTES + 1 :] != crc32_key(new):
            raise Refused(INTEGRITY_ERROR)
    talk.level.keys[named] = new
    talk.level.versions[named] = version
    if own:
        talk.session = None  # what it was opened with is no more
    return b""


def _may_change(talk: Conversation, key_no: int) -> bool:
    """Refused unless the session may change `key_no`; True when that is its own key."""
    changer = talk.level.settings >> 4
    own = talk.session is not None and talk.session.key_no == key_no
    if key_no == 0:
        if not talk.level.settings & MASTER_CHANGEABLE:
            raise Refused(PERMISSION_DENIED)
        needed = 0
    elif changer == KEYS_FROZEN:
        raise Refused(PERMISSION_DENIED)
    elif changer == CHANGED_BY_ITSELF:
        needed = key_no
    else:
        needed = 0 if key_no == changer else changer
    if talk.session is None or talk.session.key_no != needed:
        raise Refused(AUTHENTICATION_ERROR)
    if needed >= len(talk.level.keys):
        raise Refused(NO_SUCH_KEY)
    return own


_ALL = (FRAME_DATA_BYTES,)
COMMANDS: dict[int, Command] = {
    0x5A: Command(_select, 770, header=AID_BYTES, mode=raw),  # [T]
    0x71: Command(_authenticate_first, 2_000, header=2, lengths=None, mode=raw),  # [T] 3DES
    0x77: Command(_authenticate_next, 2_000, header=1, mode=raw),  # [T] 3DES
    0x60: Command(_get_version, 500, mode=with_mac, answer_frames=(7, 7, FRAME_DATA_BYTES)),
    0x51: Command(_get_card_uid, 1_000, mode=hidden),
    0x6E: Command(_free_memory, 500, mode=with_mac),
    0xFC: Command(_format, 50_000, mode=with_mac, writes=True),
    0x5C: Command(_configure, 5_000, header=1, lengths=None, mode=hidden, writes=True),
    0x6A: Command(_application_ids, 800, mode=with_mac, answer_frames=(57, FRAME_DATA_BYTES)),
    0xCA: Command(_create_application, 10_000, header=5, mode=with_mac, writes=True),
    0xDA: Command(_delete_application, 10_000, header=AID_BYTES, mode=with_mac, writes=True),
    0x45: Command(_key_settings, 500, mode=with_mac),
    0x54: Command(_change_key_settings, 5_000, lengths=(1,), mode=hidden, writes=True),
    0x64: Command(_key_version, 500, header=1, mode=with_mac),
    0xC4: Command(_change_key, 6_000, header=1, lengths=None, mode=hidden, writes=True),
}
