"""What recorded exchanges mean, line by line: ISO/IEC 14443-3 and -4, MIFARE Classic, APDUs.

Sources: ISO/IEC 14443-3 section 6.5, 14443-4 section 7.1, MF1S50 data sheet sections 9 and 12,
PC/SC part 3 section 3.2.2, DESFire command codes as listed in NXP AN12343.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tools.card.dump import HIDDEN
from tools.card.trace import APDU, AUTH, COLLIDED, DAMAGED, Exchange, Octets

OUT, IN = "->", "<-"
_ACK = 0xA
_NAKS = {
    0x0: "NAK: not allowed",
    0x1: "NAK: damaged frame",
    0x4: "NAK: not allowed",
    0x5: "NAK: damaged frame",
}
_SHORT_FRAMES = {0x26: "REQA", 0x52: "WUPA"}
_LEVELS = {0x93: 1, 0x95: 2, 0x97: 3}
_ALL_KNOWN = 0x70
_BLOCK_COMMANDS = {
    0x30: "READ",
    0xA0: "WRITE",
    0xC0: "DECREMENT",
    0xC1: "INCREMENT",
    0xC2: "RESTORE",
    0xB0: "TRANSFER",
}
_VALUE_COMMANDS = ("DECREMENT", "INCREMENT", "RESTORE")
_KEY_TYPES = {0x60: "A", 0x61: "B"}
_SAK_PARTS = ((0x04, "uid goes on"), (0x08, "MIFARE Classic"), (0x20, "ISO 14443-4"))
_NATIVE = {
    0x0A: "AuthenticateISO",
    0x3B: "WriteRecord",
    0x3D: "WriteData",
    0x51: "GetCardUID",
    0x54: "ChangeKeySettings",
    0x5A: "SelectApplication",
    0x5C: "SetConfiguration",
    0x5F: "ChangeFileSettings",
    0x60: "GetVersion",
    0x64: "GetKeyVersion",
    0x6A: "GetApplicationIDs",
    0x6C: "GetValue",
    0x6E: "FreeMem",
    0x6F: "GetFileIDs",
    0x71: "AuthenticateEV2First",
    0x77: "AuthenticateEV2NonFirst",
    0x8B: "WriteRecord",
    0x8D: "WriteData",
    0xA7: "AbortTransaction",
    0xAA: "AuthenticateAES",
    0xAB: "ReadRecords",
    0xAD: "ReadData",
    0xAF: "AdditionalFrame",
    0xBB: "ReadRecords",
    0xBD: "ReadData",
    0xC0: "CreateCyclicRecordFile",
    0xC1: "CreateLinearRecordFile",
    0xC4: "ChangeKey",
    0xC6: "ChangeKeyEV2",
    0xC7: "CommitTransaction",
    0xC8: "CommitReaderID",
    0xCA: "CreateApplication",
    0xCB: "CreateBackupDataFile",
    0xCC: "CreateValueFile",
    0xCD: "CreateStdDataFile",
    0xCE: "CreateTransactionMACFile",
    0xDA: "DeleteApplication",
    0xDC: "Debit",
    0xDF: "DeleteFile",
    0x0C: "Credit",
    0x1C: "LimitedCredit",
    0xEB: "ClearRecordFile",
    0xF5: "GetFileSettings",
    0xFC: "FormatPICC",
}
_STATUS = {
    0x00: "ok",
    0x0C: "no changes",
    0x0E: "out of memory",
    0x1C: "illegal command",
    0x1E: "integrity error",
    0x40: "no such key",
    0x7E: "length error",
    0x9D: "permission denied",
    0x9E: "parameter error",
    0xA0: "application not found",
    0xAE: "authentication error",
    0xAF: "more to come",
    0xBE: "boundary error",
    0xCA: "command aborted",
    0xDE: "duplicate",
    0xF0: "file not found",
}
_PCSC = {
    0xCA: "get uid",
    0x82: "load key **",
    0x86: "authenticate",
    0xB0: "read block",
    0xD6: "write block",
}
_STATUS_WORDS = {
    "9000": "ok",
    "6300": "failed",
    "6581": "memory failure",
    "6700": "wrong length",
    "6981": "command does not fit",
    "6982": "not authenticated",
    "6983": "key refused",
    "6986": "command not allowed",
    "6a81": "function not supported",
    "6a82": "no such block",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One direction of an exchange, for people; `octets` as spaced hexadecimal."""

    t_us: int
    direction: str
    octets: str
    bits: int
    meaning: str


def decode(exchanges: list[Exchange]) -> Iterator[Line]:
    """Two lines for each exchange: what was sent, and the answer or its absence."""
    talk = _Talk()
    for exchange in exchanges:
        meaning, answer = talk.explain(exchange)
        yield Line(exchange.start_us, OUT, " ".join(exchange.sent), exchange.sent_bits, meaning)
        heard = " ".join(exchange.heard or ())
        yield Line(exchange.end_us, IN, heard, exchange.heard_bits, answer)


def to_text(lines: list[Line]) -> list[str]:
    """A row for each line: microseconds, direction, bytes, meaning."""
    width = max([5, *(len(_shown(line)) for line in lines)])
    width = min(width, 60)
    head = f"{'us':>10}  {'':2}  {'bytes':<{width}}  meaning"
    rows = (
        f"{line.t_us:>10}  {line.direction}  {_shown(line):<{width}}  {line.meaning}"
        for line in lines
    )
    return [head, *rows]


def _shown(line: Line) -> str:
    odd = line.bits % 8
    return f"{line.octets} ({line.bits} bits)" if odd else line.octets


class _Talk:
    """What has been said so far, as far as the next frame's meaning hangs on it."""

    def __init__(self) -> None:
        self._awaits: Callable[[Octets], str] | None = None
        self._is_iso_dep = False

    def explain(self, exchange: Exchange) -> tuple[str, str]:
        """What the command of `exchange` means, and what its answer does."""
        if exchange.kind == AUTH:
            return self._explain_auth(exchange)
        if exchange.kind == APDU:
            return _command_apdu(exchange.sent), _answer_apdu(exchange.sent, exchange.heard)
        awaited, self._awaits = self._awaits, None
        sent = exchange.sent
        if exchange.sent_bits == 7:
            self._is_iso_dep = False
            name = _SHORT_FRAMES.get(_number(sent[0]), "short frame")
            return name, _answer(exchange, _atqa)
        if awaited is not None:
            return awaited(sent), _answer(exchange, _data, silence="consent by silence")
        if self._is_iso_dep:
            return _iso_dep(sent), _answer(exchange, _iso_dep_answer)
        return self._explain_command(exchange)

    def _explain_auth(self, exchange: Exchange) -> tuple[str, str]:
        self._awaits = None
        command, block = _number(exchange.sent[0]), _number(exchange.sent[1])
        key_type = _KEY_TYPES.get(command, "?")
        what = f"AUTH sector {block >> 2} (block {block}) with key {key_type}: key {HIDDEN}"
        return what, "no proof: wrong key or no card" if exchange.heard is None else "authentic"

    def _explain_command(self, exchange: Exchange) -> tuple[str, str]:
        sent = exchange.sent
        first = _number(sent[0])
        if first in _LEVELS and len(sent) > 1:
            return _cascade(exchange, _LEVELS[first])
        if first == 0x50 and len(sent) == 2:
            return "HALT", _answer(exchange, _data, silence="asleep")
        if first == 0xE0 and len(sent) == 2:
            self._is_iso_dep = exchange.heard is not None and not exchange.note
            return f"RATS, frames of up to {_fsd(_number(sent[1]))} bytes", _answer(exchange, _ats)
        if first in _BLOCK_COMMANDS and len(sent) == 2:
            return self._explain_block(exchange, _BLOCK_COMMANDS[first], _number(sent[1]))
        return "unknown command", _answer(exchange, _data)

    def _explain_block(self, exchange: Exchange, name: str, block: int) -> tuple[str, str]:
        if _is_ack(exchange):
            if name == "WRITE":
                self._awaits = lambda data: f"  data for block {block}{_keys_in(data)}"
            elif name in _VALUE_COMMANDS:
                self._awaits = lambda data: f"  by {_little(data)}"
        return f"{name} block {block}", _answer(exchange, _data)


def _number(octet: str) -> int:
    """The byte, or -1 for one that is starred out."""
    return -1 if octet == HIDDEN else int(octet, 16)


def _little(data: Octets) -> str:
    return "?" if HIDDEN in data else str(int.from_bytes(bytes.fromhex("".join(data)), "little"))


def _keys_in(data: Octets) -> str:
    return f" (trailer: key {HIDDEN}, access, key {HIDDEN})" if HIDDEN in data else ""


def _is_ack(exchange: Exchange) -> bool:
    return exchange.heard_bits == 4 and _number((exchange.heard or ("00",))[0]) & 0xF == _ACK


def _answer(
    exchange: Exchange, explain: Callable[[Octets], str], silence: str = "no answer"
) -> str:
    if exchange.heard is None:
        return silence
    if exchange.note in (COLLIDED, DAMAGED):
        return exchange.note
    if not exchange.heard:
        return "empty answer"
    if exchange.heard_bits == 4:
        code = _number(exchange.heard[0]) & 0xF
        return "ACK" if code == _ACK else _NAKS.get(code, f"NAK {code:x}")
    return explain(exchange.heard)


def _data(heard: Octets) -> str:
    return f"{len(heard)} bytes{_keys_in(heard)}"


def _atqa(heard: Octets) -> str:
    sizes = ("4-byte uid", "7-byte uid", "10-byte uid", "uid size?")
    return f"ATQA, {sizes[_number(heard[0]) >> 6]}"


def _cascade(exchange: Exchange, level: int) -> tuple[str, str]:
    sent = exchange.sent
    known = _number(sent[1])
    if known == _ALL_KNOWN:
        return f"SELECT level {level}", _answer(exchange, _sak)
    bits = (known >> 4) * 8 + (known & 7) - 16
    return f"ANTICOLL level {level}, {bits} bits known", _answer(exchange, _data)


def _sak(heard: Octets) -> str:
    sak = _number(heard[0])
    parts = [name for bit, name in _SAK_PARTS if sak & bit]
    return f"SAK: {', '.join(parts) or 'no more known'}"


def _fsd(parameter: int) -> int:
    sizes = (16, 24, 32, 40, 48, 64, 96, 128, 256)
    return sizes[min(parameter >> 4, len(sizes) - 1)]


def _ats(heard: Octets) -> str:
    return f"ATS, {len(heard)} bytes"


# ---------------------------------------------------------------- ISO/IEC 14443-4


def _iso_dep(sent: Octets) -> str:
    pcb = _number(sent[0])
    body = sent[1:]
    if pcb & 0xE2 == 0x02:
        return f"I-block {pcb & 1}{_chaining(pcb)}: {_command_apdu(body)}"
    return _control_block(pcb, body)


def _iso_dep_answer(heard: Octets) -> str:
    pcb = _number(heard[0])
    body = heard[1:]
    if pcb & 0xE2 == 0x02:
        return f"I-block {pcb & 1}{_chaining(pcb)}: {_status(body)}"
    return _control_block(pcb, body)


def _control_block(pcb: int, body: Octets) -> str:
    if pcb & 0xE6 == 0xA2:
        return f"R({'NAK' if pcb & 0x10 else 'ACK'}) {pcb & 1}"
    if pcb & 0xF7 == 0xC2:
        return "S(DESELECT)"
    if pcb & 0xF7 == 0xF2:
        times = f", {_number(body[0]) & 0x3F} times" if body else ""
        return f"S(WTX){times}"
    if pcb & 0xF0 == 0xD0:
        return "PPS"
    return "unknown block"


def _chaining(pcb: int) -> str:
    return ", more follows" if pcb & 0x10 else ""


def _status(body: Octets) -> str:
    """DESFire's status: first byte of a native answer, last of a wrapped one."""
    if len(body) >= 2 and body[-2] == "91":
        return f"{_STATUS.get(_number(body[-1]), 'status ' + body[-1])}, {len(body) - 2} bytes"
    if not body:
        return "empty"
    return f"{_STATUS.get(_number(body[0]), 'status ' + body[0])}, {len(body) - 1} bytes"


# ---------------------------------------------------------------- APDUs


def _command_apdu(sent: Octets) -> str:
    if sent[:1] == ("ff",) and len(sent) >= 5:
        return _pcsc(sent)
    at = 1 if sent[:1] == ("90",) else 0
    if len(sent) <= at:
        return "empty"
    name = _NATIVE.get(_number(sent[at]), f"command {sent[at]}")
    return f"{name} {_keys_note(sent)}".rstrip()


def _keys_note(sent: Octets) -> str:
    return f"key {HIDDEN}" if HIDDEN in sent else ""


def _pcsc(sent: Octets) -> str:
    instruction, block = sent[1], _number(sent[3])
    name = _PCSC.get(_number(instruction), f"reader command {instruction}")
    if instruction in ("b0", "d6"):
        return f"{name} {block}"
    if instruction == "86" and len(sent) >= 9:
        key_type = _KEY_TYPES.get(_number(sent[8]), "?")
        return f"{name} block {_number(sent[7])} with key {key_type}"
    return name


def _answer_apdu(sent: Octets, heard: Octets | None) -> str:
    if heard is None:
        return "no answer"
    if sent[:1] != ("ff",):
        return _status(heard)
    words = "".join(heard[-2:])
    return f"{_STATUS_WORDS.get(words, 'status ' + words)}, {max(0, len(heard) - 2)} bytes"
