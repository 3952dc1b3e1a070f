"""A DESFire EV2 card: native and wrapped commands, frames, torn commits, images of its EEPROM.

    desfire.py                this: from the bytes of a command to the bytes of its answer
    desfire_commands.py       selection, authentication, card, applications, keys
    desfire_file_commands.py  making and describing files
    desfire_data_commands.py  contents, and the transaction
    desfire_conversation.py   what those share: selection, session, rights
    desfire_messaging.py      AES and MACs        desfire_tmac.py    the transaction MAC
    desfire_files.py          kinds of files      desfire_memory.py  the EEPROM

Sources: the public data sheet and application note of DESFire Light (MF2DL(H)x0 rev. 3.3, AN12343
rev. 1.1), which speaks EV2; published traces. What those do not say is marked as assumption.
"""

import copy
import json
import random
from dataclasses import replace
from functools import partial
from typing import Any

from simulator.cards import desfire_commands, desfire_data_commands, desfire_file_commands
from simulator.cards.desfire_conversation import (
    RAW,
    Call,
    Command,
    Conversation,
    More,
    Reply,
    number,
    raw,
)
from simulator.cards.desfire_files import STANDARD, DataFile, RecordFile, ValueFile
from simulator.cards.desfire_memory import EEPROM_BYTES, Memory
from simulator.cards.desfire_messaging import protected_bytes
from simulator.cards.desfire_status import (
    ADDITIONAL_FRAME,
    COMMAND_ABORTED,
    ILLEGAL_COMMAND,
    LENGTH_ERROR,
    OK,
    PARAMETER_ERROR,
    Refused,
)
from simulator.cards.desfire_tmac import TransactionMacFile
from simulator.cards.iso_dep import IsoDepCard

WRAPPED_CLASS, WRAPPED_STATUS = 0x90, 0x91
_WRAPPED_HEAD_BYTES = 5  # class, instruction, P1, P2, and Lc or Le
REFUSAL_US = 300  # assumption

# Read and write with frames of their own (BD and so on) are the same commands otherwise.
_FRAMED = {0x3D: 0x8D, 0x3B: 0x8B, 0xBB: 0xAB}
COMMANDS: dict[int, Command] = {
    **desfire_commands.COMMANDS,
    **desfire_file_commands.COMMANDS,
    **desfire_data_commands.COMMANDS,
}
COMMANDS.update(
    {
        code: replace(COMMANDS[like], in_frames=True, answer_frames=COMMANDS[0xBD].answer_frames)
        for code, like in _FRAMED.items()
    }
)


class Desfire(IsoDepCard):
    """One card, new as from the works, but for its master key: AES zeros, where real ones bring
    DES zeros and must be turned to AES first.

    Errors are as on silicon: they end the session and drop the transaction. `torn` says what a
    command that writes leaves behind when the power goes while it is busy: "old", "new", or
    "mixed" (one of the two is drawn; only a write to a standard data file, which has no backup,
    is really mixed, byte by byte). Counters: `torn_writes`, `commands` by code.
    """

    def __init__(
        self,
        uid: bytes,
        rng: random.Random,
        *,
        eeprom_bytes: int = EEPROM_BYTES,
        has_random_uid: bool = False,
    ) -> None:
        memory = Memory(size=eeprom_bytes, has_random_uid=has_random_uid)
        super().__init__(uid, rng, ats=memory.ats, has_random_uid=has_random_uid)
        self.torn = "mixed"
        self.torn_writes = 0
        self.commands: dict[int, int] = {}
        self._talk = Conversation(memory, self.uid, rng)
        self._then: More | None = None
        self._before: Memory | None = None
        self._standard_write: tuple[bytes, int] | None = None

    # ---------------------------------------------------------------- images and truth

    def snapshot(self) -> dict[str, Any]:
        """The EEPROM with the UID, for JSON. It holds every key in the clear: for models only."""
        return {"uid": self.uid.hex(), "memory": self._talk.memory.image()}

    @property
    def image(self) -> bytes:
        """What `snapshot` gives, as bytes to compare."""
        return json.dumps(self.snapshot(), sort_keys=True).encode()

    def restore(self, image: dict[str, Any]) -> None:
        """Become the card that `snapshot` was taken of: an older self, or a clone.

        It takes the UID as well, and the settings of the last activation end with the power.
        """
        self.uid = bytes.fromhex(image["uid"])
        self._talk = Conversation(Memory.from_image(image["memory"]), self.uid, self._rng)
        self._then = self._before = None

    def truth(self, aid: bytes, file_no: int) -> Any:
        """What is committed in a file, past all rights: bytes, a value, a list of records.

        (TMC, TMV) for a transaction MAC file; KeyError when there is no such file.
        """
        file = self._talk.memory.applications[aid].files[file_no]
        if isinstance(file, DataFile):
            return file.data
        if isinstance(file, ValueFile):
            return file.value
        if isinstance(file, TransactionMacFile):
            return file.tmc, file.tmv
        return list(file.records) if isinstance(file, RecordFile) else None

    @property
    def is_authenticated(self) -> bool:
        """True while a session is open."""
        return self._talk.session is not None

    # ---------------------------------------------------------------- power

    def power_up(self) -> None:
        """Start from reset, with the UID and ATS that were configured."""
        self.has_random_uid = self._talk.memory.has_random_uid
        self.set_ats(self._talk.memory.ats)
        super().power_up()

    def begin(self) -> None:
        super().begin()
        self._forget()

    def tear(self, elapsed_us: int, busy_us: int) -> None:
        """What was being written is old or new, all of it."""
        super().tear(elapsed_us, busy_us)
        before, after = self._before, self._talk.memory
        if before is not None:
            self.torn_writes += 1
            is_old = self.torn == "old" or (self.torn == "mixed" and self._rng.getrandbits(1))
            if self.torn == "mixed" and self._standard_write is not None:
                self._mix(before, after, *self._standard_write)
            elif is_old:
                self._talk.memory = before
        self._forget()

    def _mix(self, before: Memory, after: Memory, aid: bytes, file_no: int) -> None:
        old, new = (memory.applications[aid].files[file_no] for memory in (before, after))
        if isinstance(old, DataFile) and isinstance(new, DataFile):
            pairs = zip(old.data, new.data, strict=True)
            new.data = bytes(pair[self._rng.getrandbits(1)] for pair in pairs)

    def _forget(self) -> None:
        self._talk.start_over()
        self._then = self._before = self._standard_write = None

    # ---------------------------------------------------------------- commands

    def apply(self, command: bytes, now: int) -> tuple[bytes, int]:  # noqa: ARG002 - no clock inside
        """Carry out a native command or a wrapped one; an empty block is answered with one."""
        self._before = self._standard_write = None
        if not command:
            return b"", 0
        is_wrapped = command[0] == WRAPPED_CLASS
        code = command[1] if is_wrapped and len(command) > 1 else command[0]
        self.commands[code] = self.commands.get(code, 0) + 1
        try:
            body = _unwrapped(command) if is_wrapped else command[1:]
            status, data, busy_us = self._carry_out(code, body)
        except Refused as refusal:
            self._talk.fail()
            self._then = self._before = None
            status, data, busy_us = refusal.status, b"", REFUSAL_US
        if is_wrapped:
            return data + bytes((WRAPPED_STATUS, status)), busy_us
        return bytes((status,)) + data, busy_us

    def _carry_out(self, code: int, body: bytes) -> tuple[int, bytes, int]:
        then, self._then = self._then, None
        if then is not None:
            if code != ADDITIONAL_FRAME:
                raise Refused(COMMAND_ABORTED)
            reply, busy_us = then.then(body), then.busy_us
        else:
            command = COMMANDS.get(code)
            if command is None:
                raise Refused(ILLEGAL_COMMAND)
            reply, busy_us = self._start(command, code, body), command.busy_us
        if isinstance(reply, More):
            self._then = reply
            return ADDITIONAL_FRAME, reply.data, busy_us
        return OK, reply, busy_us

    def _start(self, command: Command, code: int, body: bytes) -> Reply:
        if len(body) < command.header:
            raise Refused(LENGTH_ERROR)
        header = body[: command.header]
        mode = (command.mode or raw)(self._talk, header)
        if not command.counts_data:
            return self._run(command, code, mode, body)
        length = number(header[-3:])
        if not length:
            raise Refused(PARAMETER_ERROR)
        return self._gather(command, code, mode, length, body, b"")

    def _gather(
        self, command: Command, code: int, mode: int, length: int, so_far: bytes, body: bytes
    ) -> Reply:
        """Wait until all the data has come that the header announces."""
        whole = so_far + body
        missing = command.header + protected_bytes(length, mode) - len(whole)
        if missing < 0 or (missing and not command.in_frames):
            raise Refused(LENGTH_ERROR)
        if missing:
            rest = partial(self._gather, command, code, mode, length, whole)
            return More(b"", rest, command.busy_us)
        return self._run(command, code, mode, whole)

    def _run(self, command: Command, code: int, mode: int, body: bytes) -> Reply:
        talk, session = self._talk, self._talk.session
        if mode == RAW or session is None:
            header, data = body[: command.header], body[command.header :]
        else:
            header, data = session.open(code, body, command.header, mode)
        lengths = (number(header[-3:]),) if command.counts_data else command.lengths
        if lengths is not None and len(data) not in lengths:
            raise Refused(LENGTH_ERROR)
        if command.writes:
            self._remember(code, header)
        reply = command.run(talk, Call(code, header, data))
        if isinstance(reply, More):
            return reply
        if mode != RAW and session is not None and talk.session is session:
            reply = session.seal(OK, reply, mode)
        return self._in_frames(reply, command.answer_frames)

    def _remember(self, code: int, header: bytes) -> None:
        """What the EEPROM was before, should the command that comes now be torn."""
        if code in (0x8D, 0x3D):
            if self._talk.any_file(header[0]).kind != STANDARD:
                return  # a backup file is written to in the RAM, until the commit
            self._standard_write = self._talk.selected, header[0]
        self._before = copy.deepcopy(self._talk.memory)

    def _in_frames(self, data: bytes, sizes: tuple[int, ...], body: bytes = b"") -> Reply:
        """An answer in frames of `sizes`, the last of which is that of all that follow."""
        if body:
            raise Refused(LENGTH_ERROR)
        if not sizes or len(data) <= sizes[0]:
            return data
        rest = partial(self._in_frames, data[sizes[0] :], sizes[1:] or sizes)
        return More(data[: sizes[0]], rest, REFUSAL_US)


def _unwrapped(command: bytes) -> bytes:
    """The data of a command in ISO/IEC 7816-4 clothes: 90 INS 00 00 [Lc data] 00."""
    if len(command) < _WRAPPED_HEAD_BYTES:
        raise Refused(LENGTH_ERROR)
    if command[2:4] != b"\x00\x00":
        raise Refused(PARAMETER_ERROR)
    if len(command) == _WRAPPED_HEAD_BYTES:
        return b""
    length = command[4]
    if not length or len(command) != _WRAPPED_HEAD_BYTES + length + 1 or command[-1]:
        raise Refused(LENGTH_ERROR)
    return command[_WRAPPED_HEAD_BYTES:-1]
