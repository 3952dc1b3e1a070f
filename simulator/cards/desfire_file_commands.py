"""Commands of DESFire EV2 that make, show, change and delete files.

`busy_us`: [T] is a public capture of real cards (rfid notes, C3), the rest is assumption.
"""

from simulator.cards.desfire_conversation import (
    Call,
    Command,
    Conversation,
    checked_mode,
    hidden,
    number,
    with_mac,
)
from simulator.cards.desfire_files import (
    BACKUP,
    CHANGE,
    CYCLIC,
    FREE,
    FREE_GET_VALUE,
    LIMITED_CREDIT_ENABLED,
    LINEAR,
    NEVER,
    READ,
    READ_WRITE,
    STANDARD,
    TRANSACTION_MAC,
    VALUE,
    WRITE,
    DataFile,
    File,
    RecordFile,
    ValueFile,
)
from simulator.cards.desfire_memory import FILE_NO_MAX, FREE_CREATE, FREE_DIRECTORY
from simulator.cards.desfire_messaging import KEY_BYTES, PLAIN
from simulator.cards.desfire_status import (
    BOUNDARY_ERROR,
    DUPLICATE_ERROR,
    LENGTH_ERROR,
    NO_SUCH_KEY,
    OUT_OF_EEPROM,
    PARAMETER_ERROR,
    PERMISSION_DENIED,
    Refused,
)
from simulator.cards.desfire_tmac import AES_KEY_TYPE, LIMIT_GIVEN, TMC_MAX, TransactionMacFile

FILE_KINDS = {0xCD: STANDARD, 0xCB: BACKUP, 0xC1: LINEAR, 0xC0: CYCLIC}
_RIGHTS = (READ, WRITE, READ_WRITE, CHANGE)
_CYCLIC_RECORDS_MIN = 2


# -------------------------------------------------------------------- creation


def _frame(talk: Conversation, call: Call) -> tuple[int, int]:
    """(mode, rights) of a file to be created; Refused if it may not be, or not so."""
    application = talk.application
    talk.need_master(unless=bool(application.settings & FREE_CREATE))
    if call.header[0] > FILE_NO_MAX:
        raise Refused(PARAMETER_ERROR)
    if call.header[0] in application.files:
        raise Refused(DUPLICATE_ERROR)
    return checked_mode(call.header[1]), _checked_rights(talk, number(call.header[2:4]))


def _checked_rights(talk: Conversation, rights: int) -> int:
    count = len(talk.application.keys)
    for which in _RIGHTS:
        if count <= rights >> which & 15 < FREE:
            raise Refused(NO_SUCH_KEY)
    return rights


def _add(talk: Conversation, call: Call, file: File) -> bytes:
    if file.eeprom_bytes > talk.memory.free_bytes:
        raise Refused(OUT_OF_EEPROM)
    talk.application.files[call.header[0]] = file
    return b""


def _create_data(talk: Conversation, call: Call) -> bytes:
    mode, rights = _frame(talk, call)
    size = number(call.header[4:7])
    if not size:
        raise Refused(PARAMETER_ERROR)
    if size > talk.memory.size:
        raise Refused(OUT_OF_EEPROM)
    return _add(talk, call, DataFile(FILE_KINDS[call.code], mode, rights, bytes(size)))


def _create_value(talk: Conversation, call: Call) -> bytes:
    mode, rights = _frame(talk, call)
    lower, upper, value = (number(call.header[at : at + 4], signed=True) for at in (4, 8, 12))
    options = call.header[16]
    if options & ~(LIMITED_CREDIT_ENABLED | FREE_GET_VALUE):
        raise Refused(PARAMETER_ERROR)
    if not lower <= value <= upper:
        raise Refused(BOUNDARY_ERROR)
    return _add(talk, call, ValueFile(VALUE, mode, rights, lower, upper, value, options))


def _create_records(talk: Conversation, call: Call) -> bytes:
    mode, rights = _frame(talk, call)
    size, count = number(call.header[4:7]), number(call.header[7:10])
    kind = FILE_KINDS[call.code]
    if not size or count < (_CYCLIC_RECORDS_MIN if kind == CYCLIC else 1):
        raise Refused(PARAMETER_ERROR)
    return _add(talk, call, RecordFile(kind, mode, rights, size, count))


def _create_transaction_mac(talk: Conversation, call: Call) -> bytes:
    """One to an application; it takes the master key whatever the key settings are."""
    talk.need_master()
    mode, rights = _frame(talk, call)
    if talk.application.transaction_mac is not None:
        raise Refused(DUPLICATE_ERROR)
    if rights >> WRITE & 15 != NEVER or call.header[4] != AES_KEY_TYPE:
        raise Refused(PARAMETER_ERROR)
    key, version = call.data[:KEY_BYTES], call.data[KEY_BYTES]
    return _add(talk, call, TransactionMacFile(TRANSACTION_MAC, mode, rights, key, version))


def _delete_file(talk: Conversation, call: Call) -> bytes:
    file = talk.any_file(call.header[0])
    is_free = talk.application.settings & FREE_CREATE and not isinstance(file, TransactionMacFile)
    talk.need_master(unless=bool(is_free))
    talk.abort()
    del talk.application.files[call.header[0]]
    return b""


# -------------------------------------------------------------------- settings


def _file_ids(talk: Conversation, _call: Call) -> bytes:
    talk.need_master(unless=bool(talk.application.settings & FREE_DIRECTORY))
    return bytes(sorted(talk.application.files))


def _file_settings(talk: Conversation, call: Call) -> bytes:
    talk.need_master(unless=bool(talk.application.settings & FREE_DIRECTORY))
    return talk.any_file(call.header[0]).settings()


def _settings_mode(talk: Conversation, header: bytes) -> int:
    """ChangeFileSettings is hidden under the key it needs, and open where it needs none."""
    changer = talk.any_file(header[0]).right(CHANGE)
    if changer == FREE:
        return PLAIN
    if changer == NEVER:
        raise Refused(PERMISSION_DENIED)
    return hidden(talk, header)


def _change_file_settings(talk: Conversation, call: Call) -> bytes:
    file = talk.any_file(call.header[0])
    talk.granted(file, (CHANGE,))
    if len(call.data) < 3:
        raise Refused(LENGTH_ERROR)
    option, rights = call.data[0], _checked_rights(talk, number(call.data[1:3]))
    tail = call.data[3:]
    if isinstance(file, TransactionMacFile):
        if len(tail) != (4 if option & LIMIT_GIVEN else 0):
            raise Refused(LENGTH_ERROR)
        if rights >> WRITE & 15 != NEVER:
            raise Refused(PARAMETER_ERROR)
        mode = checked_mode(option & ~LIMIT_GIVEN)
        file.limit = number(tail) if tail else TMC_MAX
    elif tail:
        raise Refused(LENGTH_ERROR)
    else:
        mode = checked_mode(option)
    file.mode, file.rights = mode, rights
    return b""


COMMANDS: dict[int, Command] = {
    0xCD: Command(_create_data, 8_000, header=7, mode=with_mac, writes=True),
    0xCB: Command(_create_data, 8_000, header=7, mode=with_mac, writes=True),
    0xCC: Command(_create_value, 8_000, header=17, mode=with_mac, writes=True),
    0xC1: Command(_create_records, 8_000, header=10, mode=with_mac, writes=True),
    0xC0: Command(_create_records, 8_000, header=10, mode=with_mac, writes=True),
    0xCE: Command(
        _create_transaction_mac, 8_000, header=5, lengths=(17,), mode=hidden, writes=True
    ),
    0xDF: Command(_delete_file, 5_000, header=1, mode=with_mac, writes=True),
    0x6F: Command(_file_ids, 800, mode=with_mac),
    0xF5: Command(_file_settings, 1_000, header=1, mode=with_mac),  # [T] 1.02 ms
    0x5F: Command(
        _change_file_settings, 5_000, header=1, lengths=None, mode=_settings_mode, writes=True
    ),
}
