"""The words of the frame, (Chinese, English); those of a subject stand in its module."""

from ledger import people

Texts = dict[str, tuple[str, str]]

TEXTS: Texts = {
    "console": ("一卡通中心", "Card centre"),
    "skip": ("跳到正文", "Skip to the content"),
    "menu": ("菜单", "Menu"),
    "menu_day": ("今日", "Today"),
    "menu_cards": ("持卡人", "Holders"),
    "menu_money": ("结算", "Settlement"),
    "menu_devices": ("商户与设备", "Merchants and devices"),
    "menu_doors": ("门禁", "Doors"),
    "menu_audit": ("审计", "Audit"),
    "menu_me": ("我", "Me"),
    "log_out": ("退出", "Log out"),
    "language": ("English", "中文"),
    "refused": ("没有办成", "Not done"),
    "what_to_do": ("怎么办", "What to do"),
    "reason": ("编号", "Reason"),
    "done": ("已办", "Done"),
    "back": ("返回", "Back"),
    "search": ("搜索", "Search"),
    "more": ("下一页", "Next page"),
    "none": ("没有", "None"),
    "yes": ("是", "Yes"),
    "no": ("否", "No"),
    "cancel": ("不办了", "Leave it"),
    "yuan": ("元", "yuan"),
    "key_hint": (
        "键盘：Alt 加方框里的字母；/ 到搜索",
        "Keyboard: Alt and the letter in the box; / to search",
    ),
    **{
        f"role_{role}": (zh, zh_en)
        for role, (zh, zh_en) in {
            people.ADMINISTRATOR: ("管理员", "administrator"),
            people.DISPLAY: ("大屏", "display"),
            people.ENGINEER: ("运维", "engineer"),
            people.CLERK: ("柜员", "clerk"),
            people.TREASURER: ("财务复核", "treasurer"),
            people.STEWARD: ("总务专员", "steward"),
            people.WARDEN: ("宿管", "warden"),
            people.GUARD: ("保卫值班", "guard"),
            people.HEAD: ("部门负责人", "head of department"),
            people.LEADER: ("分管校领导", "leader over the department"),
            people.PRESIDENT: ("校长", "president"),
            people.DISPLAY: ("校园大屏", "screen on a wall"),
        }.items()
    },
}
