"""What a clerk's LCD says, in English and Chinese, and the sound that goes with it; for people.

`python -m tools.make_screen_bytes` makes screen_bytes.py of it, which is what a reader imports:
MicroPython cannot turn a text into GB2312. Refusals have the numbers of reasons.py, and the words
of DISPLAY and reason_texts.py where those fit and say it of one number only.
"""

from protocols.rules import charging_texts, reason_texts, reasons, screens

CELLS = 16
LANGUAGES = ("ENGLISH", "CHINESE")
LOOK, SILENT = "look", ""
# By the sound of its reason (reasons.py), as drivers/annunciator.py has them.
REFUSALS = ("refused", "card centre", "reader", "phone", "lost", "suspended", "closed") + (
    ("not yet valid", "expired", "wrong kind")
)

# DISPLAY has 20 columns, and one text for two kinds of strange cards.
_SHORTER = {
    reasons.OVER_DAY_LIMIT: "OVER DAY LIMIT",
    reasons.NOT_YET_VALID: "NOT YET VALID",
    reasons.WRONG_KEY: "STRANGE KEY",
    reasons.CODE_IS_IDENTITY: "NO PAYMENT CODE",
    reasons.CODE_IS_PAYMENT: "NO IDENTITY CODE",
    reasons.CODE_OF_UNIONPAY: "NO UNIONPAY HERE",
    reasons.CODE_OF_TRANSIT: "NO TRANSIT CODES",
    reasons.CODE_NEEDS_NETWORK: "CODE NEEDS A NET",
    reasons.CODE_NOT_YET: "PHONE CLOCK FAST",
    reasons.CODE_USED: "CODE WAS USED",
    reasons.CODE_NO_CANCEL: "CODE SALE STAYS",
    reasons.NOT_TYPED: "DESK: NOT TAKEN",
    reasons.NOT_A_DESK: "NOT FOR HERE",
    reasons.NO_PERSON_NO: "NO PERSONAL NO.",
    reasons.LOSS_UNSURE: "NOT SURE: AGAIN",
    reasons.CARD_BEHIND: "ASK CARD CENTRE",
    reasons.NOTHING_TO_CANCEL: "NOTHING TO VOID",
    reasons.CANCEL_TOO_LATE: "TOO LATE TO VOID",
    reasons.CANCELLED_ALREADY: "VOIDED ALREADY",
}
# Look at the display: the amount waits for another tap, a code, the PIN or an answer after these,
# or a key was refused.
_LOOK = (
    reasons.TWO_CARDS,
    reasons.CARD_GONE,
    reasons.READER_FAULT,
    reasons.TAP_AGAIN,
    reasons.SAME_CARD_PLEASE,
    reasons.PAID_JUST_NOW,
    reasons.CODE_UNKNOWN,
    reasons.CODE_IS_IDENTITY,
    reasons.CODE_IS_PAYMENT,
    reasons.CODE_OF_WALLET,
    reasons.CODE_OF_TRANSIT,
    reasons.CODE_NEEDS_NETWORK,
    reasons.PIN_NEEDED,
    reasons.PIN_WRONG,
    reasons.IDENTITY_CHECK,
    reasons.CODE_NO_CANCEL,
    reasons.NOTHING_TO_CANCEL,
    reasons.CANCEL_TOO_LATE,
    reasons.CANCELLED_ALREADY,
)
# Read at an inspection, which makes no sound.
_READ = (reasons.BATTERY_UNTESTED, reasons.BATTERY_WORN)
# number: (English, Chinese, cells that its value may take on the same line)
_LABELS = {
    screens.WELCOME: ("WELCOME", "欢迎光临", 0),
    screens.AMOUNT: ("AMOUNT", "金额", 9),
    screens.CARD_PLEASE: ("CARD PLEASE", "请刷卡", 0),
    screens.PAID: ("PAID", "已付", 9),
    screens.BALANCE: ("LEFT", "余额", 10),
    screens.OFFLINE: ("OFFLINE Q", "脱机待传", 5),
    screens.BATTERY_LEFT: ("BATT", "电池", 11),
    screens.NEARLY_FULL: ("NEARLY FULL", "记录将满", 0),
    screens.LAST_PAID: ("LAST PAID", "上笔已付", 0),
    screens.CARD_NO: ("CARD", "卡号", 10),
    screens.SHIFT_TOTALS: ("SHIFT TOTALS", "本班汇总", 0),
    screens.SEVEN_DAYS: ("7-DAY TOTALS", "七日汇总", 0),
    screens.SALES: ("SALES", "笔数", 6),
    screens.SUM: ("TOTAL", "合计", 10),
    screens.PIN: ("PIN", "请输密码", 6),
    screens.ITEM: ("ITEM", "菜号", 2),
    screens.FIXED_AMOUNT: ("FIXED AMOUNT", "定额消费", 0),
    screens.MEAL: ("MEAL", "份餐消费", 0),
    screens.FUNCTION: ("FUNCTION 1-8", "请选功能", 0),
    screens.ALL_IN_ORDER: ("ALL IN ORDER", "巡检正常", 0),
    screens.FAULT_REPORTED: ("FAULT REPORTED", "已报修", 0),
    screens.TRIES_LEFT: ("TRIES LEFT", "剩余次数", 2),
    screens.IS_HOLDER: ("IS THIS HOLDER?", "是否本人？", 0),
    screens.STAFF_CARD: ("STAFF CARD", "教工卡", 0),
    screens.STUDENT_CARD: ("STUDENT CARD", "学生卡", 0),
    screens.TEMPORARY_CARD: ("TEMPORARY CARD", "临时卡", 0),
    screens.CANCEL_CARD: ("CANCEL: TAP CARD", "撤销请刷原卡", 0),
    screens.CANCELLED: ("CANCELLED", "已撤销", 0),
    screens.COMES_BACK: ("COMES ONTO CARD", "将退回卡上", 0),
    screens.VOID: ("VOID", "撤销", 11),
    screens.CARD_OR_CODE: ("CARD OR CODE", "请刷卡或扫码", 0),
    screens.ONE_MOMENT: ("ONE MOMENT", "请稍候", 0),
    screens.PUNCH_HERE: ("TAP TO PUNCH", "请打卡", 0),
    screens.PUNCHED: ("PUNCHED", "打卡成功", 0),
    screens.PUNCHED_ALREADY: ("PUNCHED TWICE", "已打过卡", 0),
    screens.TIME: ("TIME", "时间", 5),
    screens.TAP_CARD: ("TAP YOUR CARD", "请刷卡查询", 0),
    screens.FOUND_CARD: ("TAP FOUND CARD", "请刷拾到的卡", 0),
    screens.THANK_YOU: ("THANKS: HAND IN", "谢谢请交卡中心", 0),
    screens.LAST_SPEND: ("LAST", "上笔", 9),
    screens.IN_ORDER: ("CARD IN ORDER", "卡状态正常", 0),
    screens.REPORT_LOSS: ("LOST CARD? OK", "挂失请按确认", 0),
    screens.SHOW_IDENTITY: ("SHOW ID CODE", "请出示身份码", 0),
    screens.LOSS_REPORTED: ("LOSS REPORTED", "已挂失", 0),
    screens.MAP_AGE: ("MAP AGE", "名单", 8),
    screens.RECEIPT_AGE: ("UPLOAD", "上传", 8),
    screens.OLD_LIST: ("OLD LIST", "名单过旧", 7),
    screens.SCAN_CODE: ("SCAN ME", "请扫码", 0),
    screens.IS_PAID: ("PAID?", "已付？", 0),
    screens.BY_SCAN: ("BY SCAN, UNCHKD", "扫码付款待核对", 0),
    screens.REFERENCE: ("REF", "编号", 10),
    screens.SCANS: ("SCAN", "扫码", 11),
}


def _texts():
    found = {}
    for number in sorted(reasons.DISPLAY):
        english = _SHORTER.get(number, reasons.DISPLAY[number])
        sound = LOOK if number in _LOOK else REFUSALS[reasons.sound(number)]
        sound = SILENT if number in _READ else sound
        found[number] = (english, reason_texts.TEXTS[number][1], sound, 0)
    for number, (english, chinese, value_cells) in sorted(_LABELS.items()):
        found[number] = (english, chinese, SILENT, value_cells)
    for number, (english, _, chinese) in sorted(charging_texts.TEXTS.items()):
        found[number] = (english, chinese, LOOK, 0)
    return found


# number: (English, Chinese, sound, cells for a value)
TEXTS = _texts()


def width(text):
    """Cells of a text: two for what is not ASCII."""
    return sum(1 if ord(char) < 0x80 else 2 for char in text)


def tables():
    """(numbers, {language: cells}) as bytes: two for each text, and its 16 cells, in order."""
    numbers = b"".join(number.to_bytes(2, "big") for number in TEXTS)
    cells = {
        language: b"".join(_cells(texts[index]) for texts in TEXTS.values())
        for index, language in enumerate(LANGUAGES)
    }
    return numbers, cells


def pole():
    """What the customer's display has in place of each, as bytes: 20 columns, in order."""
    said = [reasons.DISPLAY.get(number, texts[0]) for number, texts in TEXTS.items()]
    return "".join(text.ljust(screens.COLUMNS) for text in said).encode("ascii")


def _cells(text):
    if width(text) > CELLS:
        raise ValueError("%s takes %d cells" % (text, width(text)))
    return (text + " " * (CELLS - width(text))).encode("gb2312")
