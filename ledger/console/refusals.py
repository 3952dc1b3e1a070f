"""Numbered reasons in words: what is wrong, and what to do, in Chinese and English.

The console's own are 770 to 789; a number is never given a second meaning. Those of the ledger are
said again here in Chinese; subjects add theirs (`REASONS`).
"""

from dataclasses import dataclass

from ledger import lifecycle, people

FORM_FORGED = 770
FORM_DIFFERS = 771
OTHER_ORIGIN = 772
TOO_OFTEN = 773
TOO_LARGE = 774
BAD_FIELDS = 775
NOTHING_HERE = 776
BOOKS_UNAVAILABLE = 777
TOO_SLOW = 778
OUR_FAULT = 779
WRONG_METHOD = 780


@dataclass(frozen=True, slots=True)
class Words:
    """(Chinese, English) of what is wrong and of what to do; `status` of HTTP."""

    text: tuple[str, str]
    advice: tuple[str, str] = ("", "")
    status: int = 409


def _words(status: int, zh: str, en: str, do_zh: str, do_en: str) -> Words:
    return Words((zh, en), (do_zh, do_en), status)


OWN = {
    FORM_FORGED: _words(
        403,
        "这张表单不是本次登录打开的",
        "this form was not opened in this session",
        "请重新打开页面再填写。没有任何改动。",
        "Open the page again and fill it in. Nothing was changed.",
    ),
    FORM_DIFFERS: _words(
        409,
        "这张表单已经提交过，内容不同",
        "this form was sent before, with other content",
        "先看上一次的结果，再重新打开页面。这一次没有任何改动。",
        "Look at what came of it, then open the page again. Nothing was changed this time.",
    ),
    OTHER_ORIGIN: _words(
        403,
        "请求不是从本控制台的页面发出的",
        "the request did not come from a page of this console",
        "请用书签或地址栏打开本控制台。",
        "Open the console by its own address.",
    ),
    TOO_OFTEN: _words(
        429,
        "操作太频繁",
        "more requests than one browser may make",
        "请等一秒再试。",
        "Wait a second and try again.",
    ),
    TOO_LARGE: _words(
        413,
        "提交的内容太大",
        "more was sent than this page takes",
        "请把文件拆小。没有任何改动。",
        "Send less at a time. Nothing was changed.",
    ),
    BAD_FIELDS: _words(
        422,
        "有一项没有填，或填得不对",
        "a field is missing or wrong",
        "请按提示改正后再提交。没有任何改动。",
        "Put it right and send it again. Nothing was changed.",
    ),
    NOTHING_HERE: _words(
        404,
        "没有这个页面",
        "there is no such page",
        "请从菜单进入；您的岗位没有的功能不会出现。",
        "Go by the menu; what is not for your roles does not exist for you.",
    ),
    BOOKS_UNAVAILABLE: _words(
        503,
        "账簿现在打不开",
        "the books cannot be reached now",
        "没有任何改动；请稍后再提交同一张表单。",
        "Nothing was changed; send the same form again in a moment.",
    ),
    TOO_SLOW: _words(
        504,
        "账簿没有及时回答，可能已经办成",
        "no answer in time; it may have been done",
        "请再提交同一张表单：办成了的不会办第二次。",
        "Send the same form again: what was done is not done twice.",
    ),
    OUR_FAULT: _words(
        500,
        "系统出错",
        "a fault of the console's own",
        "没有任何改动。请告诉图书信息中心这个编号和时间。",
        "Nothing was changed. Tell the information centre this number and the time.",
    ),
    WRONG_METHOD: _words(
        405,
        "这个地址不能这样访问",
        "this address is not asked like that",
        "请从菜单进入。",
        "Go by the menu.",
    ),
}
_NO_CHANGE = ("没有任何改动。", "Nothing was changed.")
_ZH = {
    people.NO_SESSION: (401, "尚未登录，或登录已过期", "请重新登录。", "Log in again."),
    people.WRONG_LOGIN: (
        401,
        "用户名或密码不对，或该用户暂时被锁",
        "连续错五次锁十五分钟；管理员可以解锁或重置。",
        "Five in a row lock it for 15 minutes; an administrator can unlock or reset it.",
    ),
    people.LOCKED: (
        401,
        "密码错得太多，暂时被锁",
        "请等十五分钟，或请管理员解锁。",
        "Wait 15 minutes, or ask an administrator.",
    ),
    people.NOT_FOR_ROLE: (
        403,
        "您的岗位不能办这件事",
        "请由有此权限的同事办理。",
        "Somebody with that role has to do it.",
    ),
    people.SAME_PERSON: (
        409,
        "第二步要由另一个人办理",
        "请另一位同事登录后在“等您办理”里办。",
        "Another person finds it under “waits for you”.",
    ),
    people.OTHER_DEPARTMENT: (
        403,
        "这是别的部门的事",
        "请由该部门的人办理。",
        "Somebody of that department has to do it.",
    ),
    people.ROLES_APART: (409, "这些岗位不能由一个人兼任，或不属于这个部门", *_NO_CHANGE),
    people.WEAK_PASSWORD: (
        422,
        "新密码不能用：太短、太长、太简单或与原来相同",
        "至少 12 个字符，至少 5 种不同的字符，不含用户名。",
        "12 characters at least, 5 different ones, without the login.",
    ),
    people.INITIAL_PASSWORD: (
        403,
        "初始密码只能用来设置自己的密码，且三天内有效",
        "请先修改密码；过期请管理员重置。",
        "Choose a password of your own; if it is over, ask for a reset.",
    ),
    people.TYPED_NAME: (
        409,
        "账簿里已有操作员，手写的姓名不作数",
        "请登录后办理。",
        "Log in first.",
    ),
    people.NO_OPERATOR: (404, "没有这个操作员，或已经有了", *_NO_CHANGE),
    people.NO_PROPOSAL: (404, "没有这项提议，或已办、已失效", *_NO_CHANGE),
    people.FOUNDED: (409, "账簿里已有操作员", *_NO_CHANGE),
    people.NO_REASON_GIVEN: (
        422,
        "查看个人信息要写明用途",
        "请用几个字写明为什么。",
        "Say why in a few words.",
    ),
    people.NO_HOLDER: (404, "没有登记这张卡是谁的", "请先开通。", "Open it for somebody first."),
    people.NOT_FOUNDED: (
        409,
        "账簿里还没有操作员",
        "请图书信息中心运行 onecard ledger operator found。",
        "The information centre runs onecard ledger operator found.",
    ),
    people.DISABLED: (
        409,
        "此人已停用",
        "要由两位管理员重置密码才能恢复。",
        "Only a reset that two administrators say lets them in again.",
    ),
    people.LAST_TWO: (
        409,
        "这样能批准操作员的管理员就不到两位",
        "请先开通另一位管理员，并由其设置自己的密码。",
        "Let in another administrator first, who chooses a password.",
    ),
    lifecycle.NO_CARD: (404, "账簿里没有这个卡号", "请核对卡号。", "Check the number."),
    lifecycle.WRONG_STATE: (
        409,
        "这张卡现在的状态不能这样办",
        "请看账户页上能办的手续。",
        "The account page has what can be done.",
    ),
    lifecycle.WRONG_ROLE: (403, "不能由这个角色提出", *_NO_CHANGE),
    lifecycle.WRONG_CHANNEL: (
        409,
        "不能通过这个渠道办理",
        "请本人到一卡通中心办理。",
        "In person at the card centre.",
    ),
    lifecycle.NO_EVIDENCE: (
        422,
        "应出示的证件没有齐",
        "请查看证件后勾选。",
        "See the papers, then tick them.",
    ),
    lifecycle.ONE_PERSON: (
        409,
        "这要两个人办理",
        "请另一位同事登录后办第二步。",
        "Another person does the second step.",
    ),
    lifecycle.NOT_NOW: (
        409,
        "不在可以办理的时间，或不是原申请部门",
        "续期只在到期前十天内，由原申请部门出具证明。",
        "A renewal has the last ten days, by the department that applied.",
    ),
    lifecycle.MONEY_IN_THE_AIR: (409, "钱还没有到位，不能这样办", *_NO_CHANGE),
    lifecycle.HAS_A_CARD: (
        409,
        "一人一卡：此人已经有卡，或这张卡是别人的",
        "请先查此人的账户。",
        "Look up that person's account.",
    ),
}
_EN = lifecycle.TEXTS | people.TEXTS
REASONS = {
    **OWN,
    **{
        number: _words(status, zh, _EN[number], do_zh, do_en)
        for number, (status, zh, do_zh, do_en) in _ZH.items()
    },
}
