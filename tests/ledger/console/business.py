"""What merchants, their readers and the office have done in the books of the console's tests.

A canteen and a kiosk have sold; a period is closed and waits for General Affairs. Today there is
a sale, one of a card that nobody has issued, and a payment by aggregate code.
"""

from ledger import reasons
from ledger.procedures import Act
from tests.ledger.months import Pos, at
from tests.ledger.readers import CANTEEN, KIOSK
from tests.ledger.staff import log_in

DAY_S, OFFSET_S = 86_400, 28_800
CARD_NO, NO_CARD = 31, 999
TILL, SILENT = 1005, 1001  # the other one was never heard
STRANGE = (TILL, 9)  # the sale of a card that nobody has issued
EXAMPLES = {
    "period": "1",
    "merchant": str(CANTEEN),
    "reader": str(TILL),
    "dossier": "1",
    "case_reason": str(reasons.UNKNOWN_CARD),
    "record": str(STRANGE[1]),
}


def midnight_s(now_s):
    """When today began at the school (UTC)."""
    return (now_s + OFFSET_S) // DAY_S * DAY_S - OFFSET_S


def fill(store, now_s):
    """Two readers that have sold, a closed period, a case, a payment by aggregate code."""
    staff = {login: log_in(store, login, now_s) for login in ("clara", "stella", "tian")}
    today_s = midnight_s(now_s)
    soon_s = max(today_s, now_s - 900)
    store.register_merchant(KIOSK, "Kiosk 2")
    store.issue_cards([(CARD_NO, 10_000)])
    steps = [0, (0, 0)]
    canteen, kiosk = Pos(TILL, CANTEEN, steps), Pos(1002, KIOSK, steps)
    for pos in (canteen, kiosk):
        store.register_device(pos.device, pos.key, pos.merchant_no)
    store.tampers.answer_for([(TILL, "General Affairs"), (1002, "General Affairs")])
    for pos, fen, days in ((canteen, 600, 3), (kiosk, 500, 3), (canteen, 300, 2)):
        pos.sell(fen, today_s - days * DAY_S + 40_000, card_no=CARD_NO)
    for pos in (canteen, kiosk):
        pos.inspect(today_s - 10)
    store.book([canteen.records, kiosk.records])
    by = Act("department", staff["stella"], said="the display is dark")
    store.merchants.tickets.report("R-1", TILL, by, now_s)
    told = [len(canteen.records), len(kiosk.records)]
    until_s = today_s - DAY_S
    because = "it was never in use"
    store.periods.decide(until_s, [(SILENT, 0)], staff["tian"], because, now_s)
    store.periods.close("first", until_s, staff["clara"], now_s)
    canteen.inspect(soon_s)
    canteen.sell(1_250, soon_s, card_no=CARD_NO)
    strange = canteen.spend(card_no=NO_CARD, amount_fen=400, **at(soon_s))
    assert strange == STRANGE, strange
    canteen.aggregate(880, **at(soon_s))
    kiosk.inspect(soon_s)
    store.book([canteen.records[told[0] :], kiosk.records[told[1] :]])
