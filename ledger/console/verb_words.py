"""What operators say (people.VERBS), in words: for the pages of rights and of signatures.

A verb of cards is called as on the card's page, a step of a dossier by its kind and its role.
"""

from ledger import people, procedures
from ledger.console.card_words import TEXTS as OF_CARDS
from ledger.console.dossier_words import KINDS
from ledger.console.dossier_words import TEXTS as OF_DOSSIERS
from ledger.console.texts import Texts

_ZH = {
    "operator.propose": "提议谁在这里办事、什么岗位",
    "operator.approve": "以另一人批准",
    "operator.decline": "不同意并说明理由",
    "operator.disable": "立即停用",
    "operator.unlock": "解锁",
    "card.warn": "记下已通知离校的人",
    "card.payee": "登记退款账号",
    "settlement.decide": "终端未到齐时决定放行余额",
    "refund.sign": "签退款文件的试算",
    "refund.approve": "退款文件第二人签字",
    "refund.decline": "不同意退款文件",
    "refund.file": "生成签好的退款文件",
    "refund.results": "登记退款的银行回单",
    "payment.restored": "说明账簿是恢复来的，停发银行文件",
    "payment.note": "补记恢复以前银行已有的付款",
    "payment.release": "按银行清单说没有别的付款",
    "payment.approve": "第二人确认，重新放行付款文件",
    "temporary.apply": "登记临时卡申请",
    "temporary.department": "申请部门负责人签临时卡",
    "temporary.finance": "财务签临时卡",
    "temporary.decline": "不同意临时卡申请",
    "batch.sign": "签名单的核对结果",
    "batch.approve": "名单第二人签字",
    "batch.decline": "不同意名单",
    "batch.run": "办理签好的名单",
    "case.propose": "提议差错由谁承担",
    "case.approve": "批准差错处理并入账",
    "case.decline": "不同意差错处理",
    "device.department": "归口部门同意被打开或移动的终端继续用",
    "device.centre": "信息中心同意它继续用",
    "subsidy.sign": "签补助名单的试算",
    "subsidy.approve": "补助名单第二人签字",
    "subsidy.decline": "不同意补助名单",
    "subsidy.run": "发放签好的补助",
    "topup.propose": "提出一笔渠道没有告知的充值",
    "topup.book": "以另一人登记该充值",
    "topup.decline": "不同意该充值",
    "aggregate.enter": "导入聚合码账单",
    "code.propose": "提出没有记录的付款码归谁",
    "code.settle": "以另一人了结该付款码",
    "code.decline": "不同意这样了结付款码",
    "phone.bind": "绑定或解绑手机",
    "door.add": "登记门和锁",
    "access.appoint": "指定或免去授权人",
    "access.dorm": "宿舍门授权、查询",
    "access.public": "公共区域门授权、查询",
    "door.key": "记一次钥匙开门",
    "reader.release": "说明某终端不会再有记录",
    "policy.set": "设终端限额",
    "firmware.stage": "下发固件",
    "menu.set": "设商户菜单",
    "day.sign": "签商户日合计",
    "roster.set": "排班与班次",
    "punch.enter": "补登或撤回打卡",
    "personal.show": "查看个人编号（写明用途）",
    "personal.name": "登记姓名",
    "personal.roster": "查看考勤实名（写明用途）",
    "personal.form": "查看附表一实名（写明用途）",
    "personal.export": "导出一个人的全部资料",
    "retention.run": "清除到期的个人信息",
    "device.admit": "登记批准的终端号",
    "duty.name": "指定巡检人",
    "duty.round": "登记巡检",
    "duty.drill": "存档停电、断网演练",
    "period.rate": "设商户佣金",
    "period.account": "登记商户账号",
    "period.decide": "终端未到齐时决定结账",
    "period.close": "结账",
    "period.audit": "总务处审核结算报告",
    "period.head": "总务处负责人签结算报告",
    "period.leader": "分管校领导签结算报告",
    "period.centre": "一卡通中心复审结算报告",
    "period.file": "生成商户付款文件",
    "period.results": "登记商户付款的银行回单",
}
_ANNEX_2 = "annex-2"


def _zh(verb: str) -> str:
    kind, _, word = verb.partition(".")
    if verb in _ZH:
        return _ZH[verb]
    if kind == "card":
        return OF_CARDS[f"verb_{word}"][0]
    named = "附表二申请" if kind == _ANNEX_2 else KINDS[kind][0]
    return f"{named}：{OF_DOSSIERS[f'dos_as_{word}'][0]}办的步骤"


TEXTS: Texts = {f"of_{name}": (_zh(name), verb.text) for name, verb in people.VERBS.items()}
assert set(_ZH) <= set(people.VERBS) and procedures.KINDS.keys() == KINDS.keys()
