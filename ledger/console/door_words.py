"""What doors and locks say, in words for wardens and guards, and what to do: (Chinese, English).

Why a tap was refused has its words in protocols/rules; here stands what to do about it.
"""

from protocols.rules import access, access_texts, door, lock, reason_texts, reasons

Both = tuple[str, str]
_WARDEN: Both = ("给这张卡授权，或请其本人的宿管办理。", "Give this card the right below.")
_CENTRE: Both = ("请持卡人到一卡通中心。", "The holder goes to the card centre.")
_KEY: Both = (
    "用钥匙开门，记一次钥匙开门，然后换电池。",
    "Open it with the key, log that, then put new cells in.",
)
_AGAIN: Both = ("请再刷一次，卡贴住不动。", "Tap again and hold the card still.")
_READER: Both = (
    "读卡器要检查：用钥匙开门并报修。",
    "The reader needs a look: use the key, report it.",
)
# Why a door stayed shut: what to do. Whatever is not here is said to the card centre.
ADVICE: dict[int, Both] = {
    access.NO_ACCESS: _WARDEN,
    access.NOT_NOW: (
        "在允许的时段再刷，或核对该组的时段。",
        "Come in its hours, or look at those.",
    ),
    access.PASSED_JUST_NOW: (
        "刚刚已经开过门，等一会儿再刷。",
        "It has just opened: wait a little.",
    ),
    access.LOCKED_OUT: ("等 90 秒再刷。", "Wait 90 seconds."),
    access.NO_PIN_GIVEN: ("刷卡后输入门的密码。", "Type the door's PIN behind the tap."),
    access.DURESS: ("门已打开，马上派人去现场。", "It has opened: send somebody at once."),
    access.CODE_UNANSWERED: ("网络没有应答，请改用实体卡。", "No answer in time: use the card."),
    access.CODE_NOT_HERE: ("请图书信息中心登记这扇门。", "The information centre registers it."),
    access.CODE_NO_VALIDITY: _CENTRE,
    reasons.CARD_LOST: (
        "已挂失：核对身份；找到卡的，本人带证件到一卡通中心解挂。",
        "Check who that is; the holder undoes it at the card centre, with an ID.",
    ),
    reasons.CARD_SUSPENDED: _CENTRE,
    reasons.CARD_CLOSED: ("已注销：此人不再是住户，核对身份。", "Closed: check who that is."),
    reasons.NOT_YET_VALID: _CENTRE,
    reasons.EXPIRED: ("有效期已过：到一卡通中心续期或换卡。", "Over: to the card centre."),
    reasons.MAP_EXPIRED: ("锁的名单太旧：带手持机去一次。", "Take the handheld there."),
    reasons.BATTERY_EMPTY: _KEY,
    reasons.FOREIGN_CARD: ("不是本校的卡。", "No card of this school."),
    reasons.WRONG_KEY: _CENTRE,
    reasons.TWO_CARDS: ("只拿一张卡贴上去。", "One card alone."),
    reasons.CARD_GONE: _AGAIN,
    reasons.TAP_AGAIN: _AGAIN,
    reasons.PIN_WRONG: ("门的密码不对，再输一次。", "Type the door's PIN again."),
    reasons.CLOCK_UNKNOWN: ("门不知道时间：带手持机去对时。", "Set its clock with the handheld."),
    reasons.READER_FAULT: _READER,
    reasons.CASE_OPENED: _READER,
    reasons.MOVED: _READER,
}
# What a door of a magnet, or a lock on cells, is doing by its last word: text, what to do.
STATES: dict[str, tuple[Both, Both]] = {
    door.SETTLING: (("刚恢复，正在等门关好", "waits for a shut door"), ("把门关上。", "Shut it.")),
    door.SECURED: (("锁着", "locked"), ("", "")),
    door.GRANTED: (("刚放行，开着", "open for who may enter"), ("", "")),
    door.HELD: (("开得太久", "held open for too long"), ("请去把门关上。", "Go and shut it.")),
    door.FORCED: (("被强行打开", "opened by force"), ("马上派人去看。", "Send somebody at once.")),
    door.EXIT: (("里面按了开门按钮", "exit button"), ("", "")),
    door.FREE: (("按时段常开", "open to everybody, by schedule"), ("", "")),
    door.FIRE: (
        ("消防联动，已释放", "released by the fire loop"),
        ("确认没有火情后，用门边的钥匙复位。", "If there is no fire, turn the key at the door."),
    ),
    door.DARK: (
        ("没有电，电磁锁已释放", "no supply: the magnet has let go"),
        (
            "用钥匙锁门或派人看守；来电后自动上锁。",
            "Lock it by key or guard it until power is back.",
        ),
    ),
    door.FAULT: (
        ("控制器故障，已释放", "a fault: it has let go"),
        ("报修；修好后用门边的钥匙复位。", "Report it; then turn the key at the door."),
    ),
    lock.UNSURE: (("刚开机，正在看锁舌", "has just booted"), ("", "")),
    lock.LOCKED: (("锁着", "locked"), ("", "")),
    lock.DRAWING: (("正在开", "opens"), ("", "")),
    lock.OPEN: (("开着", "open"), ("", "")),
    lock.THROWING: (("正在锁", "locks"), ("", "")),
    lock.JAMMED: (
        ("锁舌卡住", "the bolt is jammed"),
        ("去现场看锁舌；暂用钥匙。", "Look at the bolt; use the key meanwhile."),
    ),
}
GRADES: tuple[Both, ...] = (("良好", "good"), ("偏低", "low"), ("耗尽", "empty"))
CELLS_ADVICE: tuple[Both, ...] = (
    ("", ""),
    ("几周内换电池。", "New cells within weeks."),
    _KEY,
)


def why(reason: int, column: int) -> tuple[str, str, int]:
    """(words, what to do, reason) of a tap at a door; column 0 Chinese, 1 English."""
    if reason == reasons.APPROVED:
        return ("已开门", "opened")[column], "", reason
    found = access_texts.TEXTS.get(reason) or reason_texts.TEXTS.get(reason)
    text = found[1 - column] if found else ("未知的原因", "a reason of later firmware")[column]
    return text, ADVICE.get(reason, _CENTRE)[column], reason
