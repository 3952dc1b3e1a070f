"""Why a door stayed shut, in words: English, Chinese. For docs, tools and tests, no reader."""

from protocols.rules import access

TEXTS = {
    access.NO_ACCESS: ("this card has no access to this door", "此卡无此门权限"),
    access.NOT_NOW: ("its group may not open this door at this time", "当前时段不可通行"),
    access.PASSED_JUST_NOW: ("it has just opened this door (anti-passback)", "防反传：刚刚已通行"),
    access.DURESS: ("opened, and who opened it says that he is being forced", "胁迫开门"),
    access.NO_PIN_GIVEN: ("it has to give a PIN and none came", "未输入密码"),
    access.LOCKED_OUT: ("five wrong tries: 90 s without any", "连续错误，锁定90秒"),
    access.CODE_UNANSWERED: ("nobody has answered in time: use the card (R24)", "无应答请刷卡"),
    access.CODE_NOT_HERE: ("in the ledger's books this reader is no door", "此门未登记"),
    access.CODE_NO_VALIDITY: ("the ledger does not know the days of its card", "有效期未登记"),
}
