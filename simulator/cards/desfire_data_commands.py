"""Commands of DESFire EV2 on the contents of files, and the transaction that holds them together.

What a file allows decides how a command is protected: the file's mode where a proved key is named
in its rights, no protection where access is free. Whatever reads or writes goes into the
transaction MAC of an application that makes one, also reading and also standard files; that is
how the DESFire Light data sheet has it (section 10.3), the only public one.

`busy_us`: [T] is a public capture of real cards (rfid notes, C3), the rest is assumption. There is
no public figure for a debit and its commit.
"""

from collections.abc import Callable

from simulator.cards.desfire_conversation import (
    Call,
    Command,
    Conversation,
    number,
    with_mac,
)
from simulator.cards.desfire_files import (
    FREE,
    FREE_GET_VALUE,
    NEVER,
    READ,
    READ_WRITE,
    WRITE,
    DataFile,
    File,
    RecordFile,
    ValueFile,
)
from simulator.cards.desfire_messaging import PLAIN
from simulator.cards.desfire_status import (
    AUTHENTICATION_ERROR,
    BOUNDARY_ERROR,
    NO_CHANGES,
    PARAMETER_ERROR,
    PERMISSION_DENIED,
    Refused,
)
from simulator.cards.desfire_tmac import (
    COMMIT_READER_ID,
    READER_ID_BYTES,
    TransactionMacFile,
)

COMMIT_BUSY_US = 5_000
VALUE_BYTES = 4
FRAME_DATA_BYTES = 59  # data in one native frame of an answer

Mode = Callable[[Conversation, bytes], int]


def _by(kinds: type[File] | tuple[type[File], ...], *rights: int) -> Mode:
    """The mode of the file in the header's first byte, of `kinds`, under any of `rights`."""

    def mode(talk: Conversation, header: bytes) -> int:
        file = talk.any_file(header[0])
        if not isinstance(file, kinds):
            raise Refused(PERMISSION_DENIED)
        return talk.granted(file, rights)

    return mode


# -------------------------------------------------------------------- data and records


def _span(header: bytes) -> tuple[int, int]:
    """(offset or record number, length or count) of a data command."""
    return number(header[1:4]), number(header[4:7])


def _read_data(talk: Conversation, call: Call) -> bytes:
    offset, length = _span(call.header)
    file = talk.any_file(call.header[0])
    if isinstance(file, TransactionMacFile):
        end = offset + length if length else len(file.contents)
        if offset >= len(file.contents) or end > len(file.contents):
            raise Refused(BOUNDARY_ERROR)
        return file.contents[offset:end]
    data = talk.file(call.header[0], DataFile).read(offset, length)
    real = call.header[:4] + len(data).to_bytes(3, "little")
    talk.note(call._replace(header=real), data)
    return data


def _write_data(talk: Conversation, call: Call) -> bytes:
    talk.note(call, call.data)
    talk.file(call.header[0], DataFile).write(_span(call.header)[0], call.data)
    return b""


def _read_records(talk: Conversation, call: Call) -> bytes:
    start, count = _span(call.header)
    file = talk.file(call.header[0], RecordFile)
    data = file.read(start, count)
    # Assumption: as with data, a count of 0 goes into the MAC as what was really read.
    real = call.header[:4] + (len(data) // file.size).to_bytes(3, "little")
    talk.note(call._replace(header=real), data)
    return data


def _write_record(talk: Conversation, call: Call) -> bytes:
    talk.note(call, call.data)
    talk.file(call.header[0], RecordFile).write(_span(call.header)[0], call.data)
    return b""


def _clear_records(talk: Conversation, call: Call) -> bytes:
    talk.note(call)
    talk.file(call.header[0], RecordFile).clear()
    return b""


# -------------------------------------------------------------------- value


def _value_mode(talk: Conversation, header: bytes) -> int:
    file = talk.file(header[0], ValueFile)
    try:
        return talk.granted(file, (READ, WRITE, READ_WRITE))
    except Refused:
        if file.options & FREE_GET_VALUE:
            return PLAIN
        raise


def _get_value(talk: Conversation, call: Call) -> bytes:
    value = talk.file(call.header[0], ValueFile).value.to_bytes(VALUE_BYTES, "little", signed=True)
    talk.note(call._replace(header=call.header + value))
    return value


def _moving(move: Callable[[ValueFile, int], None]) -> Callable[[Conversation, Call], bytes]:
    def run(talk: Conversation, call: Call) -> bytes:
        talk.note(call._replace(header=call.header + call.data))
        move(talk.file(call.header[0], ValueFile), number(call.data, signed=True))
        return b""

    return run


# -------------------------------------------------------------------- transaction


def _signer(talk: Conversation) -> TransactionMacFile:
    signer = talk.application.transaction_mac
    if signer is None:
        raise Refused(PERMISSION_DENIED)
    return signer


def _reader_mode(talk: Conversation, header: bytes) -> int:
    right = _signer(talk).right(READ_WRITE)
    if right == NEVER:
        raise Refused(PERMISSION_DENIED)
    if right != FREE and (talk.session is None or talk.session.key_no != right):
        raise Refused(AUTHENTICATION_ERROR)
    return with_mac(talk, header)


def _commit_reader(talk: Conversation, call: Call) -> bytes:
    return _signer(talk).commit_reader(call.data, talk.uid, talk.session is not None)


def _commit(talk: Conversation, call: Call) -> bytes:
    """All files at once; with option 01 the answer is TMC and TMV."""
    files = talk.application.files.values()
    signer = talk.application.transaction_mac
    option = call.data[0] if call.data else 0
    if option > 1 or (option and signer is None):
        raise Refused(PARAMETER_ERROR)
    if not any(file.has_changes for file in files):
        raise Refused(NO_CHANGES)
    if signer is not None and signer.needs_reader and signer.reader_now is None:
        raise Refused(PERMISSION_DENIED)
    for file in files:
        file.commit()
    if signer is None:
        return b""
    signer.sign(talk.uid)
    return signer.contents if option else b""


def _abort(talk: Conversation, _call: Call) -> bytes:
    if not any(file.has_changes for file in talk.application.files.values()):
        raise Refused(NO_CHANGES)
    talk.abort()
    return b""


_READS = _by((DataFile, TransactionMacFile), READ, READ_WRITE)
_WRITES = _by(DataFile, WRITE, READ_WRITE)
_READS_RECORDS = _by(RecordFile, READ, READ_WRITE)
_WRITES_RECORDS = _by(RecordFile, WRITE, READ_WRITE)
_FRAMES = (FRAME_DATA_BYTES,)
_SPAN_BYTES = 7
_ONE_VALUE = (VALUE_BYTES,)

COMMANDS: dict[int, Command] = {
    0xAD: Command(_read_data, 1_070, header=_SPAN_BYTES, mode=_READS),  # [T]
    0xBD: Command(_read_data, 1_070, header=_SPAN_BYTES, mode=_READS, answer_frames=_FRAMES),
    0x8D: Command(
        _write_data,
        1_000,
        header=_SPAN_BYTES,
        lengths=None,
        mode=_WRITES,
        counts_data=True,
        writes=True,
    ),
    0xAB: Command(_read_records, 1_070, header=_SPAN_BYTES, mode=_READS_RECORDS),
    0x8B: Command(
        _write_record,
        1_000,
        header=_SPAN_BYTES,
        lengths=None,
        mode=_WRITES_RECORDS,
        counts_data=True,
    ),
    0xEB: Command(_clear_records, 1_000, header=1, mode=_by(RecordFile, READ_WRITE)),
    0x6C: Command(_get_value, 1_000, header=1, mode=_value_mode),
    0x0C: Command(
        _moving(ValueFile.credit),
        1_000,
        header=1,
        lengths=_ONE_VALUE,
        mode=_by(ValueFile, READ_WRITE),
    ),
    0xDC: Command(
        _moving(ValueFile.debit),
        1_000,
        header=1,
        lengths=_ONE_VALUE,
        mode=_by(ValueFile, READ, WRITE, READ_WRITE),
    ),
    0x1C: Command(
        _moving(ValueFile.recredit),
        1_000,
        header=1,
        lengths=_ONE_VALUE,
        mode=_by(ValueFile, WRITE, READ_WRITE),
    ),
    COMMIT_READER_ID: Command(
        _commit_reader, 1_500, lengths=(READER_ID_BYTES,), mode=_reader_mode
    ),
    0xC7: Command(_commit, COMMIT_BUSY_US, lengths=(0, 1), mode=with_mac, writes=True),
    0xA7: Command(_abort, 1_000, mode=with_mac),
}
