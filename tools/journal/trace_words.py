"""The words of a trace: each step of a spend, what may be missing there; English and Chinese."""

from ledger import chart

TAP, OUTCOME, AGENT, BOOKED, FATE, MOVED, PERIOD, APPROVED, PAID = range(1, 10)
NAMES = {
    TAP: ("tap", "刷卡"),
    OUTCOME: ("end of the tap", "刷卡的结果"),
    AGENT: ("agent of the building", "楼内边缘节点"),
    BOOKED: ("booked", "入账"),
    FATE: ("what became of it", "这笔的定论"),
    MOVED: ("money moved", "账上的钱"),
    PERIOD: ("settlement period", "结算期"),
    APPROVED: ("approvals", "审批"),
    PAID: ("payment to the merchant", "付给商户"),
}
DONE, LACKS, WRONG, ENDS, UNSEEN = "done", "lacks", "WRONG", "ends", "not looked at"
STATUS = {
    DONE: ("done", "已办"),
    LACKS: ("missing", "缺"),
    WRONG: ("WRONG", "不符"),
    ENDS: ("ends here", "到此为止"),
    UNSEEN: ("not looked at", "未查"),
}
WORDS = {
    "tap": (
        "reader {device} wrote record {seq} at {when}: card {card}, {amount} yuan",
        "机具 {device} 于 {when} 写下记录 {seq}：卡 {card}，{amount} 元",
    ),
    "tap-nowhere": (
        "no journal that was given, agent or books have record {device}/{seq}",
        "给出的日志、边缘节点和账簿里都没有记录 {device}/{seq}",
    ),
    "no-spend": ("it is no spend by card: {kind}", "它不是刷卡消费：{kind}"),
    "journal": ("give the reader's journal with --journal", "用 --journal 给出机具日志"),
    "committed": ("record {seq}: the card was debited", "记录 {seq}：卡上已扣款"),
    "not-committed": ("record {seq}: the card was not debited", "记录 {seq}：卡上未扣款"),
    "unknown": (
        "record {seq}: the reader could not see it; the card's next tap tells",
        "记录 {seq}：机具没看到结果，看这张卡下次刷卡",
    ),
    "no-outcome": (
        "power went before its end; the reader writes it at its next start",
        "结果写下之前断了电，机具下次启动会补写",
    ),
    "agent": ("give the agent's database with --agent", "用 --agent 给出边缘节点的数据库"),
    "agent-has": ("it has the record", "它有这条记录"),
    "agent-freed": (
        "it has freed the record, for the ledger has booked up to {upto}",
        "记录已释放，因为总账已入账到 {upto}",
    ),
    "agent-lacks": (
        "it has nothing of the reader behind {upto}: the reader has to reach it",
        "它只有这台机具到 {upto} 的记录：机具须先连上它",
    ),
    "agent-refused": ("the ledger has refused it, reason {code}", "总账拒收，原因 {code}"),
    "booked": ("record {seq} is booked, sha256 {sha256}", "记录 {seq} 已入账，sha256 {sha256}"),
    "not-come": (
        "not in the books, which have reader {device} up to {head}",
        "还没入账；账簿里机具 {device} 到记录 {head}",
    ),
    "no-device": ("the books know no reader {device}", "账簿里没有机具 {device}"),
    "parked": (
        "it has come, and waits for records {first} to {last} before it",
        "已送到，等前面的记录 {first} 至 {last}",
    ),
    "rejected": ("refused, reason {reason}", "被拒收，原因 {reason}"),
    "two-journals": (
        "{one} and {other} have two records of that number: a twin, or a restored state",
        "{one} 和 {other} 里这个号是两条不同的记录：有孪生机具，或状态被还原过",
    ),
    "agent-other": (
        "the agent has another record of that number: a twin, or a restored state",
        "代理里这个号是另一条记录：有孪生机具，或状态被还原过",
    ),
    "other-record": (
        "the books have another record of that number: a twin, or a restored state",
        "账簿里这个号是另一条记录：有孪生机具，或状态被还原过",
    ),
    "case": ("a case stands: {reason} ({text})", "有待查事项：{reason}（{text}）"),
    "debited": ("debited", "已扣款"),
    "not-debited": ("not debited, so no money moves", "未扣款，不动钱"),
    "open": (
        "not known yet: the card's next tap, on any reader, tells",
        "尚无定论：这张卡下次在任何机具刷卡便知",
    ),
    "moves": ("{moves}", "{moves_zh}"),
    "no-moves": ("debited, and the books have no transfer", "已扣款，账上却没有分录"),
    "cancelled": ("sold and cancelled: {moves}", "已售又撤销：{moves_zh}"),
    "period": (
        "{name}, closed {when}, report {sha256}",
        "{name}，{when} 结账，报表 {sha256}",
    ),
    "no-period": (
        "in no period yet: the next one that is closed has it",
        "还不在任何结算期，下一期结账时计入",
    ),
    "approvals": ("{count} of {needed}: {who}", "{needed} 步中 {count} 步：{who}"),
    "next-approval": (
        "{count} of {needed}: the next is {step}",
        "{needed} 步中 {count} 步：下一步{step_zh}",
    ),
    "refused": (
        "refused at {step}: {because}; the next period brings it forward",
        "{step_zh}未通过：{because}；并入下一期",
    ),
    "payment": ("file {file}, {when}: {result}", "付款文件 {file}，{when}：{result_zh}"),
    "no-payment": (
        "approved, and in no payment file yet: the centre makes one",
        "已批，还没做付款文件：由一卡通中心做",
    ),
    "no-due": ("the merchant is due nothing for it", "这期不须付给商户"),
}
SENT_BACK = 2
RESULTS = {
    None: ("the bank has not answered", "银行还没回盘"),
    0: ("the bank could not pay", "银行未付成"),
    1: ("paid", "已付"),
    SENT_BACK: ("paid, and the bank has sent it back", "已付，又被银行退回"),
}
ACCOUNTS = {
    chart.HOLDER: ("holder", "持卡人"),
    chart.MERCHANT: ("merchant", "商户"),
    chart.CLEARING: ("clearing", "银行清算"),
    chart.SUSPENSE: ("suspense", "待查"),
    chart.FEES: ("fees", "手续费"),
    chart.PENDING: ("pending", "待领"),
    chart.RESERVED: ("reserved", "预留"),
    chart.LOSS: ("loss", "损失"),
    chart.PAYOUT: ("payout", "待退"),
    chart.UNCLAIMED: ("unclaimed", "无人认领"),
    chart.REMITTANCE: ("remittance", "汇出"),
    chart.ACQUIRER: ("acquirer", "收单"),
}
# Accounts whose owner is a card: its number is masked.
OF_CARDS = frozenset({chart.HOLDER, chart.PENDING, chart.RESERVED, chart.PAYOUT})
