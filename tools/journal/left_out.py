"""Why a visit of a field journal is not played again, in English and Chinese."""

LEFT_OUT = {
    "no-card": ("no card was read", "没有读到卡"),
    "torn": (
        "card or power went in the middle of it: when, to the millisecond, no journal says",
        "卡或电在中途离开：到毫秒的时刻日志里没有",
    ),
    "reason": (
        "what decided it stands in no journal: {reason} ({text})",
        "决定它的东西不在日志里：{reason}（{text}）",
    ),
    "day": (
        "what the card had spent elsewhere that day stands in no journal of this reader",
        "这张卡当天在别处花了多少，这台机具的日志里没有",
    ),
    "meal": ("a counted meal: the menu stands in no journal", "计次餐：菜单不在日志里"),
    "policy": (
        "policy {theirs} was in force then; the settings have {ours}: --settings with that one",
        "当时执行的是第 {theirs} 版政策，设置里是第 {ours} 版：请用 --settings 给出那一版",
    ),
    "clock": ("the reader did not know the time", "机具当时不知道时间"),
}
