"""Books with two months of two merchants, and what an office does with them."""

from ledger import reasons
from ledger.bearers import Bearer
from protocols.wire import messages
from tests.ledger.readers import CANTEEN, KIOSK, Reader, open_ledger

FROM_S, END_S, NEXT_END_S = 1_788_192_000, 1_790_784_000, 1_793_462_400  # September, October
DAY_S = 86_400
CLOSED_S = END_S + 3 * DAY_S
CLOSER, SIGNERS = "chen", {"audit": "wang", "head": "li", "leader": "zhao", "centre": "sun"}
ACCOUNT, OTHER_ACCOUNT = "43050176453600000123", "43050176453600000124"
INSPECTED = {
    "network": 1,
    "waiting": 0,
    "battery_mv": 4150,
    "clock_width_s": 2,
    "reader_faults": 0,
    "free_sectors": 9,
}


def at(time_s):
    """The fields of a record that was written then."""
    return {"earliest_s": time_s, "latest_s": time_s + 2}


class Pos(Reader):
    """A reader that sells to CARD, tap after tap; `steps` is shared by the readers of one card."""

    def __init__(self, device, merchant_no=CANTEEN, steps=None):
        super().__init__(device, merchant_no)
        self._steps = [0, (0, 0)] if steps is None else steps

    def sell(self, amount_fen, time_s, **fields):
        """A spend that is committed; its record id."""
        counter, last = self._steps
        spend = self.spend(
            counter=counter, last=last, amount_fen=amount_fen, **at(time_s), **fields
        )
        self._steps[:] = [counter + 1, spend]
        return spend

    def try_to_sell(self, amount_fen, time_s):
        """An intent of which nobody says what became of it; the card is as it was."""
        counter, last = self._steps
        return self.intent(counter=counter, last=last, amount_fen=amount_fen, **at(time_s))

    def inspect(self, time_s):
        """The daily inspection: a mark."""
        self.write(messages.INSPECTION, **(INSPECTED | at(time_s)))


def month(path=":memory:", is_there=True):
    """(store, pos of the canteen, pos of the kiosk): 900 and 500 fen of September, all told.

    `is_there`: the canteen has been heard after September.
    """
    steps = [0, (0, 0)]
    canteen, kiosk = Pos(1001, CANTEEN, steps), Pos(1002, KIOSK, steps)
    store = open_ledger(canteen, kiosk, path=path)
    canteen.sell(600, FROM_S + 5)
    kiosk.sell(500, FROM_S + DAY_S)
    canteen.sell(300, END_S - 9)
    for pos in (canteen, kiosk) if is_there else (kiosk,):
        pos.inspect(END_S)
    store.book([canteen.records, kiosk.records])
    return store, canteen, kiosk


def close(store, name="2026-09", until_s=END_S, person=CLOSER, now_s=CLOSED_S):
    return store.periods.close(name, until_s, person, now_s)


def approve(store, period, steps=SIGNERS, time_s=CLOSED_S + 9):
    """By the persons of `steps`, in order; the period as it is then."""
    for step in steps:
        period = store.periods.approve(
            period.number, step, period.sha256.hex(), SIGNERS[step], time_s
        )
    return period


def register(store, merchant_no=CANTEEN, account_no=ACCOUNT, person="qian"):
    store.periods.payments.register(merchant_no, account_no, "食堂有限公司", person, CLOSED_S)


def fill(store):
    """Something in every table: a period that is paid and sent back, and one that is refused."""
    steps = [0, (0, 0)]
    pos, silent = Pos(1701, CANTEEN, steps), Pos(1702, KIOSK, steps)
    for one in pos, silent:
        store.register_device(one.device, one.key, one.merchant_no)
    known = {device for device in store.heads() if device not in (1701, 1702)}
    pos.sell(600, FROM_S)
    pos.inspect(END_S)
    store.book([pos.records])
    store.periods.set_rate(CANTEEN, 60, "wang", FROM_S)
    places = [(one.device, one.seq) for one in store.periods.quiet(END_S)[1]]
    assert {device for device, _seq in places} <= known | {1702}
    store.periods.decide(END_S, places, "zhou", "broken, and sent in for repair", CLOSED_S)
    register(store)
    approve(store, close(store))
    payments = store.periods.payments
    (payment,) = payments.make_file("2026-09", "sun", CLOSED_S)
    for result in ("paid", "returned"):
        payments.note_results([(payment.number, result, "")], "sun", CLOSED_S)
    places = [(one.device, one.seq) for one in store.periods.quiet(NEXT_END_S)[1]]
    store.periods.decide(NEXT_END_S, places, "zhou", "broken still", NEXT_END_S)
    period = close(store, "2026-10", NEXT_END_S, now_s=NEXT_END_S)
    why = "the canteen's book says otherwise"
    store.periods.refuse(2, "audit", period.sha256.hex(), "wang", why, NEXT_END_S)


def pays_for_nobody(store, time_s):
    """A case that two persons settle for the canteen: 100 fen that lay in suspense."""
    (case,) = [one for one in store.corrections.cases() if one.reason == reasons.UNKNOWN_MERCHANT]
    proposal = store.corrections.propose(
        case, Bearer.MERCHANT, "wang", "the till says so", time_s, whose=CANTEEN
    )
    mark = store.corrections.mark(case, proposal)
    store.corrections.approve(proposal.number, mark, "li", time_s)
