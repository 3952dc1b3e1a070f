"""Numbered reasons of the books in Chinese, and what a clerk says to do next.

Beside the English of each table, for the numbers of which the console has no words of its own
(ledger/console/refusals.py and beside): number -> (what it is, what to do). docs/reason-codes.md
and "explain this number" are made from both; a test fails for a number that has neither.
"""

from ledger import api_reasons as api
from ledger import money_lists as lists
from ledger import reasons
from ledger.payments import reasons as payments
from protocols.link import delivery
from protocols.rules import release
from protocols.wire import errors, mqtt

Words = dict[int, tuple[str, str]]

OF_RECORDS: Words = {
    reasons.UNKNOWN_DEVICE: ("没有登记过的终端号", "请图书信息中心核对终端号；它的记录暂不入账。"),
    reasons.FORK: (
        "同一记录号有两条真记录",
        "请图书信息中心看这台终端：可能有两台用同一密钥，或闪存被写回旧的。",
    ),
    reasons.UNREADABLE: (
        "记录真实但读不懂",
        "请图书信息中心更新账簿程序后重新入账；记录留着，不会丢。",
    ),
    reasons.OUTCOME_OF_NO_INTENT: (
        "结果对应的不是一笔消费",
        "请图书信息中心看这台终端的记录；没有入账。",
    ),
    reasons.LOST: (
        "终端上已读不出的记录",
        "这条没有入账；请与商户核对当时的流水，由财务决定谁承担。",
    ),
    reasons.FOUND: ("说丢了又找到的记录", "已保存、没有入账；由柜员提议、财务复核决定。"),
    reasons.CONTRADICTION: (
        "既说扣了又说没扣",
        "已按扣款入账；请持卡人下次刷卡，以卡上记录为准再处理。",
    ),
    reasons.UNKNOWN_CARD: ("没有发过的卡", "钱挂账，没有动任何人的卡；请收下这张卡交一卡通中心。"),
    reasons.UNKNOWN_MERCHANT: (
        "没有登记的商户",
        "钱挂账；请总务处登记这个商户，或更正终端的商户号。",
    ),
    reasons.OTHER_MERCHANT: (
        "不是这台终端的商户",
        "已按记录入账；请总务处核对这台终端属于哪个商户。",
    ),
    reasons.BAD_ARITHMETIC: (
        "余额与金额对不上",
        "已按金额入账；请持卡人带卡来核对余额，同时检查终端。",
    ),
    reasons.NO_AMOUNT: ("金额为零的消费", "没有要入账的，不用处理。"),
    reasons.TRY_OF_MONEY: (
        "试密码却扣了钱",
        "已按记录入账；请图书信息中心看这台终端，查清后退还持卡人。",
    ),
    reasons.UNKNOWN_CREDIT: (
        "没有给过的圈存",
        "没有入账；请查是哪台终端写的，持卡人的余额以账簿为准。",
    ),
    reasons.CREDITED_TWICE: (
        "一笔圈存上卡两次",
        "只入账一次；卡上多出的由柜员与持卡人核对后处理。",
    ),
    reasons.CARD_CAPTURED: (
        "商户扣留了这张卡",
        "请商户把卡交到一卡通中心；持卡人带证件来领（R19.4）。",
    ),
    reasons.SPENT_WHILE_LOST: (
        "挂失以后的消费",
        "挂失以后的不由持卡人承担（R14.2）；由柜员提议谁承担。",
    ),
    reasons.LATE_SPEND: (
        "挂失以前、结转以后才到的消费",
        "是挂失以前花的，由持卡人承担（R14.2）；向本人说明后从余额中扣。",
    ),
    reasons.LOADED_TOO_LATE: ("钱已结转，圈存又上了旧卡", "这笔已撤回；新卡上的余额是对的。"),
    reasons.CARD_FOUND: (
        "有人捡到这张卡",
        "请通知持卡人到一卡通中心领卡；捡到的人不能用（R10.2）。",
    ),
    reasons.CANCEL_OF_NO_SALE: (
        "撤销的不是这台终端的消费",
        "没有退钱；请拿小票到收款的那台终端上办。",
    ),
    reasons.CANCEL_DIFFERS: (
        "撤销的卡、金额或商户与原消费不同",
        "没有退钱；请核对小票后用原卡再办。",
    ),
    reasons.CANCELLED_WHEN_MADE_GOOD: (
        "更正过的消费又被撤销",
        "退回的钱先还给更正时承担的一方，余下的归持卡人；不用再办。",
    ),
    reasons.CANCELLED_TWICE: ("这笔已经撤销过", "钱只退一次，已经退了；不用再办。"),
    reasons.UNRESERVED_SALE: (
        "没有预留的付款码消费",
        "由商户承担，持卡人没有被扣；请商户核对当时的终端。",
    ),
    reasons.SETTLED_OTHERWISE: ("人工处理与记录不同", "请柜员看两条记录，由财务决定以哪个为准。"),
    reasons.CASE_OPENED: (
        "终端外壳被打开",
        "查看过并由归口部门、信息中心都同意以前，它不收款（R18.1）。",
    ),
    reasons.MOVED: (
        "终端换了地方",
        "擅自移机：两个部门同意以前不收款，责任在商户（R18.1、R18.2）。",
    ),
    reasons.APPROVED_BY_NOBODY: (
        "终端自称已有人同意它继续用",
        "账簿里没有两人的同意：请信息中心立即查看这台终端。",
    ),
    reasons.SEEN_ELSEWHERE: (
        "终端在别的地方被听到",
        "请归口部门看它在哪里；擅自移动的责任在商户（R18.1）。",
    ),
    reasons.OPENED_UNDER_DURESS: ("开门的人表示被胁迫", "立即派人到门口，报保卫部。"),
    reasons.WRONG_AT_A_DOOR: ("这扇门连错五次密码", "已停收九十秒；请看看是谁在试。"),
    reasons.LOCK_CELLS_LOW: ("门锁电池偏低", "几周内换电池（R23.3b）。"),
    reasons.LOCK_CELLS_EMPTY: (
        "门锁电池耗尽，刷卡打不开",
        "宿管用钥匙开门，然后换电池（R23.3b）。",
    ),
    reasons.LOCK_JAMMED: ("锁舌没有伸出", "派人去看这把锁，先用钥匙锁门。"),
    reasons.LOCK_CASE_OPENED: ("门锁外壳被打开", "派人去看这把锁。"),
    reasons.UNREAD_LETTER: ("门锁来信用的不是它的密钥", "伪造或损坏：请信息中心查看这把锁。"),
    reasons.ENTRY_UNANSWERED: (
        "门说有人扫码进入，但没有人答应过它",
        "请保卫部查看这扇门的记录；可能是伪造的码。",
    ),
    reasons.ENTERED_TWICE: ("一次扫码答复记了两次进入", "请信息中心看这扇门；只算一次进入。"),
    reasons.DOOR_FORCED: ("门锁着却被强行打开", "立即派人去看（R8.1）。"),
    reasons.DOOR_HELD_OPEN: ("门开着太久", "派人去看，把门关好（R8.1）。"),
    reasons.SPENT_BEFORE_ITS_END: (
        "注销结算以后才到的消费",
        "是本人花的，由本人承担（R15）；联系本人补交。",
    ),
    reasons.CARD_FORKED: ("疑似复制卡", "先停用这张卡，请持卡人带卡来换新卡；余额以账簿为准。"),
    reasons.TOO_FAST: ("两地刷卡太快", "请持卡人带卡来核对；也查一查终端的时钟。"),
    reasons.ABOVE_LOAD: ("卡上的钱多于充入的", "请查写卡的终端；持卡人的余额以账簿为准。"),
    reasons.IMBALANCE: ("卡上余额与上一笔对不上", "先查终端，不冻结卡；请持卡人下次刷卡时核对。"),
    reasons.NOT_APPROVED: ("这台终端没有附表二的五方签字", "签字齐了才入账；请归口部门办附表二。"),
    reasons.TOLD_BEHIND_ITS_MARK: (
        "期末以前的消费，终端先说过已到期末以后",
        "请信息中心看这台终端的时钟；钱转入下一期。",
    ),
    reasons.SOLD_NOT_CHARGED: ("已售出，渠道又退给了付款人", "请财务向渠道追款。"),
    reasons.CHARGED_NOT_SOLD: ("渠道收了没有售出的款", "渠道会退给付款人；请告诉学生等原路退回。"),
    reasons.CHARGED_OTHERWISE: (
        "渠道收的金额与售价不同",
        "请财务按渠道账单核对，差额由财务决定。",
    ),
    reasons.UNHEARD_SALE: ("终端说已付，渠道还没有说", "请财务问渠道；学生凭付款记录不用再付。"),
    reasons.OF_A_TIME_TO_COME: (
        "期末一天以后的日期",
        "请信息中心看终端的时钟；付款码的看账簿的时钟。",
    ),
    reasons.STATED_TWICE: ("渠道把一笔写了两次，只售出一次", "请财务问渠道，不要付两次。"),
    reasons.STATED_NO_MORE: ("更正的账单里没有了这笔", "请财务向渠道追款。"),
    reasons.TOLD_AFTER_ITS_END: (
        "终端停用以后才到的记录",
        "已保存、没有入账；由柜员提议、财务复核决定。",
    ),
    reasons.ENDED_UNPROVEN: (
        "终端已停用，可能还有没听到的消费",
        "请归口部门把终端里的记录取出来再处理。",
    ),
    reasons.PAID_AFTER_ITS_END: (
        "已停用的商户又有了进出",
        "转入下一期；请总务处看是否重开这个商户。",
    ),
}
OF_MONEY: Words = {
    lists.TWICE: ("名单里同一张卡出现多次", "请删去重复的一行再核对。"),
    lists.BOOKED_DIFFERENTLY: (
        "同名名单里这一行已经办过，内容不同",
        "请换名单名称，或改成与原来一致。",
    ),
    payments.OTHER_FACTS: ("这个号的付款已有别的内容，或不可能", "请按银行清单核对付款号。"),
    payments.NOT_RESTORED: ("没有人说明账簿是恢复来的", "请图书信息中心先登记恢复。"),
}
OF_API: Words = {
    api.NO_TOKEN: ("没有出示本系统认识的令牌", "请图书信息中心给这个子系统换发令牌。"),
    api.NOT_ALLOWED: ("这个子系统没有这项权限", "需要时请图书信息中心给它加权限。"),
    api.NOTHING_HERE: ("没有这个地址", "请开发者核对接口地址。"),
    api.WRONG_METHOD: ("这个地址没有这种方法", "请开发者核对接口说明。"),
    api.TOO_LARGE: ("内容太大", "请分几次送。"),
    api.NOT_JSON: ("内容不是一个 UTF-8 的 JSON 对象", "请开发者核对格式。"),
    api.BAD_FIELDS: ("有一项缺少、多余或超出范围", "请开发者按接口说明改正；没有任何改动。"),
    api.TOO_OFTEN: ("请求太频繁", "等一会儿再试。"),
    api.BOOKS_UNAVAILABLE: ("账簿现在打不开", "过一会儿用同一个单号再试；不会办两次。"),
    api.TOO_SLOW: ("没有及时回答，可能已经办成", "用同一个单号再问一次；办成了的不会办第二次。"),
    api.OUR_FAULT: ("账簿自己出错", "没有任何改动；请告诉图书信息中心这个编号和时间。"),
    api.NO_ACCOUNT: ("没有这个账户", "请核对卡号或学工号。"),
    api.ACCOUNT_CLOSED: ("账户已注销", "钱原路退回；请持卡人到一卡通中心。"),
    api.ABOVE_LIMIT: ("超过一次能充的金额", "请少充一些。"),
    api.CARD_NOT_IN_USE: (
        "这张卡已挂失、中止、冻结或结束，不能绑定手机",
        "请本人带证件到一卡通中心。",
    ),
    api.NOT_THE_HOLDER: ("不是账簿里这张卡的持卡人", "请用本人的学工号和姓名绑定。"),
    api.PHONE_HAS_CARD: ("这部手机已绑定另一张卡", "请先解绑，再绑定。"),
    api.TOO_MANY_TRIES: ("一天里试错太多或换手机太多", "明天再试，或本人到柜台办。"),
    api.REQUEST_DIFFERS: ("这个请求号属于别的手机、卡或证明", "请在手机上重新发起绑定。"),
    api.TOLD_BEFORE: ("已经办过，密钥不再给第二次", "请在手机上用新的请求号重新绑定。"),
    api.NO_PHONES: ("账簿没有配置手机密钥", "请图书信息中心配置后再绑定。"),
    api.ORDER_DIFFERS: ("这个订单号已入账，内容不同", "请渠道核对订单号。"),
    api.REFERENCE_USED: ("这个银行流水号已用于另一订单", "请渠道核对流水号。"),
    api.NO_ORDER: ("这个渠道没有这个订单", "请核对订单号。"),
    api.ON_CARD: ("钱已到卡上", "不能撤销；要退请到一卡通中心。"),
    api.MAY_BE_ON_CARD: ("钱可能已到卡上", "请持卡人再刷一次卡，确定以后再办。"),
    api.SPENT: ("钱已用付款码花掉", "不能撤销。"),
    api.WENT_ON: ("钱已转到补的新卡上", "请用新卡号查询。"),
    api.VOID: ("订单到达以前已取消，不再接受", "请重新下单。"),
    api.FILES_WAIT: (
        "账簿是从备份恢复的，银行手里有什么还不清楚",
        "请财务先按银行清单补记，再放行。",
    ),
    api.LOSS_IMPOSSIBLE: ("挂失名单放不下这个卡号", "请图书信息中心处理；先请持卡人到柜台挂失。"),
    api.NOT_QUIET: ("期末以前的消费可能没到齐，也没有人决定", "先让终端联网，或由财务决定。"),
    api.WRONG_SPAN: ("期间名称或止日不对", "请核对上期止日和名称。"),
    api.NOT_ENDED: ("上一期还没有批完或退回", "先办完上一期。"),
    api.WRONG_STEP: ("四步审批要按顺序（R7.1）", "看下一步是谁。"),
    api.SAME_SIGNER: ("这一步要由另一个人办", "请别的同事办。"),
    api.OTHER_REPORT: ("报告摘要不对，或账簿已变", "请重新打开报告。"),
    api.REPORT_ENDED: ("这份报告已批完或退回", "看报告上的签字。"),
    api.NOT_WITH_BANK: ("这笔付款不在银行那里", "请核对付款号。"),
}
OF_BYTES: Words = {
    errors.TRUNCATED: ("数据没有收完整", "多半是断线；终端会重发。总出现请告诉图书信息中心。"),
    errors.TRAILING: ("数据后面多了内容", "请告诉图书信息中心是哪台机具。"),
    errors.NON_CANONICAL: ("数据不是规定的写法", "请告诉图书信息中心是哪台机具；可能固件不对。"),
    errors.UNSUPPORTED: ("数据里有不用的类型", "请告诉图书信息中心是哪台机具。"),
    errors.TOO_DEEP: ("数据嵌套太深", "请告诉图书信息中心是哪台机具。"),
    errors.TOO_LONG: ("数据太长", "请告诉图书信息中心是哪台机具。"),
    errors.BAD_TEXT: ("文字不是 UTF-8", "请告诉图书信息中心是哪台机具。"),
    errors.MALFORMED_SEAL: ("不是封装好的记录", "请告诉图书信息中心是哪台机具。"),
    errors.BAD_SEAL: ("封印与密钥、链或内容不符", "可能被改动或密钥不对：请图书信息中心查看。"),
    errors.BAD_SIGNATURE: ("签名不对", "不要使用这份文件：请图书信息中心查看。"),
    errors.NOT_A_MAP: ("不是规定的键值", "请告诉图书信息中心是哪台机具。"),
    errors.UNKNOWN_TYPE: ("没有这种消息或记录", "多半是固件比账簿新：请图书信息中心更新。"),
    errors.UNEXPECTED_TYPE: ("这种消息不该出现在这里", "请告诉图书信息中心是哪台机具。"),
    errors.MISSING_FIELD: ("缺少一项", "请告诉图书信息中心是哪台机具。"),
    errors.UNKNOWN_FIELD: ("多出一项", "请告诉图书信息中心是哪台机具。"),
    errors.BAD_FIELD: ("有一项超出范围", "请告诉图书信息中心是哪台机具。"),
    errors.BAD_TOPIC: ("不是本系统的主题", "请图书信息中心查看消息代理的设置。"),
    errors.MALFORMED_FRAME: ("不是串口的一帧", "请检查读卡机与电脑之间的线。"),
    errors.FRAME_CHECKSUM: ("串口校验不对", "请检查读卡机与电脑之间的线，换一根再试。"),
}
OF_FIRMWARE: Words = {
    release.IMAGE_WRONG: ("收到的不是这份固件", "请图书信息中心重新下发；机具还在用原来的固件。"),
    release.IMAGE_TOO_LONG: ("固件装不下", "请图书信息中心核对机具型号。"),
    release.NOT_PROVEN: (
        "新固件没有证明自己能用，已退回",
        "还在用原来的固件；请图书信息中心查看。",
    ),
    release.KEEPS_FAILING: (
        "新固件反复重启，已退回",
        "还在用原来的固件；请图书信息中心查看。",
    ),
    release.FLASH_FAILED: ("闪存写不进去", "闪存可能老化：请报修换机。"),
    release.NOT_WHOLE: ("闪存里的固件已经变了，已退回", "请图书信息中心查看；再出现就换机。"),
    release.NOT_ANSWERED: ("没有人给它固件的内容", "请图书信息中心看楼里的网关。"),
}
OF_LINES: Words = {
    mqtt.MALFORMED_LENGTH: ("长度字段超过四个字节", "机具会自己重连；总出现请查消息代理。"),
    mqtt.PACKET_TOO_LONG: ("内容超过这一侧能收的", "机具会自己重连；总出现请查消息代理。"),
    mqtt.UNKNOWN_PACKET: ("没有这种报文", "机具会自己重连；总出现请查消息代理。"),
    mqtt.MALFORMED_PACKET: ("报文的字段不对", "机具会自己重连；总出现请查消息代理。"),
    mqtt.MALFORMED_TOPIC: ("不是本系统的主题", "请图书信息中心查看消息代理的设置。"),
    mqtt.QOS_2: ("本系统不用 QoS 2", "请图书信息中心查看是谁在发。"),
    mqtt.UNEXPECTED_PACKET: ("这种报文不该出现在这里", "机具会自己重连；总出现请查消息代理。"),
    mqtt.WINDOW_FULL: ("太多消息没有得到答复", "网络慢：机具会自己重连，记录不会丢。"),
    mqtt.OUTGOING_FULL: ("太多内容等着发出", "网络慢：机具会自己重连，记录不会丢。"),
    mqtt.CONNECTION_DEAD: ("没有及时答复", "网络断了：机具会自己重连，记录不会丢。"),
    mqtt.CONNECTION_REFUSED: (
        "消息代理不接受这台机具",
        "证书过期或没有登记：请信息中心查看。",
    ),
    delivery.STORED_BEYOND_HEAD: (
        "网关有这台机具没有写过的记录",
        "可能换过机：请图书信息中心查看。",
    ),
    delivery.RECEIPT_BEYOND_HEAD: (
        "收到了没有写过的记录的回执",
        "可能换过机：请图书信息中心查看。",
    ),
}
ZH: Words = OF_RECORDS | OF_MONEY | OF_API | OF_BYTES | OF_FIRMWARE | OF_LINES
