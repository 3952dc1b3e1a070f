"""What can be wrong with a journal, by number, in English and Chinese, and what is a note only.

The numbers stand in docs/forensics.md and do not change.
"""

from dataclasses import dataclass, field
from typing import Any

SEAL_WRONG = 1
CHAIN_BROKEN = 2
GAP = 3
REPEATED = 4
HALF_PROGRAMMED = 5
ERASED = 6
OTHER_DEVICE = 7
WRONG_KEY = 8
TWO_EPOCHS = 9
BITS_FLIPPED = 10
NO_RECORD = 11
OLDER_KEY = 12
CUT_SHORT = 13
UNBOOKED = 14
# Notes: what power cuts and age leave, and the firmware copes with.
TORN = 51
MENDED = 52
OLD_SECTOR = 53
DISOWNED = 54
UNPROVEN = 55
NEWER_KEY = 56
TORN_END = 57
NOTES_FROM = 50

WHY = {
    SEAL_WRONG: (
        "its seal is wrong: it was changed, or the reader never wrote it",
        "密封不符：记录被改过，或不是这台机具写的",
    ),
    CHAIN_BROKEN: (
        "the chain is broken: it is sealed behind {behind}",
        "链断：它是接在{behind}之后密封的",
    ),
    GAP: ("records {first} to {last} are not there", "缺记录 {first} 至 {last}"),
    REPEATED: (
        "its number comes again, behind record {behind}",
        "记录号重复：出现在记录 {behind} 之后",
    ),
    HALF_PROGRAMMED: (
        "records {first} to {last} are lost: the word at 0x{word:06x} was programmed half",
        "记录 {first} 至 {last} 丢失：地址 0x{word:06x} 的字只写了一半",
    ),
    ERASED: (
        "records {first} to {last} are lost: sector {sectors} was erased in the middle",
        "记录 {first} 至 {last} 丢失：中间的扇区 {sectors} 被擦除",
    ),
    OTHER_DEVICE: (
        "it is of reader {device}, in the journal of reader {own}",
        "它是机具 {device} 的记录，却在机具 {own} 的日志里",
    ),
    WRONG_KEY: (
        "no seal holds: this is not the key of reader {device}",
        "没有一条密封相符：给的不是机具 {device} 的密钥",
    ),
    TWO_EPOCHS: (
        "another journal begins here: records {first} to {last} of generation {generation}",
        "这里开始另一份日志：第 {generation} 代，记录 {first} 至 {last}",
    ),
    BITS_FLIPPED: (
        "records {first} to {last} are lost: more than one bit is wrong in {size} bytes",
        "记录 {first} 至 {last} 丢失：{size} 字节里错了不止一位",
    ),
    NO_RECORD: ("these bytes are no record: {what}", "这些字节不是记录：{what}"),
    OLDER_KEY: (
        "it is sealed under an older key than the record before it",
        "它用的密钥比前一条的旧",
    ),
    CUT_SHORT: (
        "the dump ends in the journal: {count} of its sectors are missing",
        "读出的文件不完整：日志缺 {count} 个扇区",
    ),
    UNBOOKED: (
        "records {first} to {last} are not there, and no receipt for them is noted here",
        "缺最早的记录 {first} 至 {last}，这里也没有记下它们的入账回执",
    ),
    TORN: (
        "{size} bytes of an entry that a power cut tore, and that was never counted",
        "断电撕裂的 {size} 字节，从未算数",
    ),
    MENDED: (
        "one bit was wrong at 0x{byte:06x}; its CRC puts it right",
        "0x{byte:06x} 错一位，已按 CRC 复原",
    ),
    OLD_SECTOR: (
        "a sector of an earlier turn, records {first} to {last}; all of them booked",
        "上一轮留下的扇区，记录 {first} 至 {last}，都已入账",
    ),
    DISOWNED: (
        "a new sector that a boot did not see; the next boot disowns it",
        "一次启动没看见的新扇区，下次启动会弃用它",
    ),
    UNPROVEN: (
        "its seal cannot be checked: the record before it is not there",
        "无法核对密封：前一条记录不在",
    ),
    TORN_END: (
        "{size} torn bytes behind the newest record: a power cut, or damage to one that was there;"
        " the books' head tells which",
        "最新记录之后有 {size} 字节残缺：断电，或原有的一条坏了；看账簿的最新一条便知",
    ),
    NEWER_KEY: ("from here on it is sealed under the reader's next key", "从这条起用下一把密钥"),
}


@dataclass(frozen=True)
class Finding:
    """Something about the entry or sector at `offset` (bytes, on the partition).

    `why` is of WHY, which `facts` fill in; `seq` is None where it is of no record.
    """

    why: int
    offset: int
    seq: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_break(self) -> bool:
        """Whether the journal does not prove what it should; otherwise it is worth a note."""
        return self.why < NOTES_FROM

    def text(self, language: int) -> str:
        """In words; `language` 0 English, 1 Chinese."""
        facts = {name: _said(value, language) for name, value in self.facts.items()}
        return WHY[self.why][language].format(**facts)


def _said(value: Any, language: int) -> Any:
    """A pair of texts is one in both languages."""
    return value[language] if isinstance(value, tuple) else value
