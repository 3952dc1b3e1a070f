"""Books in which readers have ended and a merchant has left, and how an office does that."""

from dataclasses import replace

from ledger.closing import newest
from ledger.procedures import Act
from tests.ledger.campus import BAKERY, FORM, apply, sign
from tests.ledger.months import CLOSED_S, END_S, NEXT_END_S, Pos, approve, close, month, register
from tests.ledger.readers import CANTEEN, KIOSK

TIME_S = END_S + 60  # when its department has signed
POS, SILENT = 1001, 1002
OVEN, STALL = 2001, 15


def retire(store, device=POS, what="broken", reference="", time_s=TIME_S):
    """Said by the merchant, signed by the department; the dossier."""
    by = Act("merchant", "wu", what)
    number = store.merchants.tickets.retire(reference or f"E-{device}", device, by, time_s)
    store.merchants.dossiers.say(number, "sign", Act("department", "zhao"), time_s)
    return number


def end(store, number, verb="end", person="feng", said="", shown="", time_s=TIME_S + 9):
    by = Act("centre", person, shown, said)
    return store.merchants.dossiers.say(number, verb, by, time_s)


def pass_over(store, number, head_seq, person="feng"):
    return end(store, number, "pass-over", person, "its flash is burnt", str(head_seq))


def leave(store, merchant_no=CANTEEN, reference="", role="merchant", person="wu"):
    """Asked for, and signed by whoever has to; the dossier, which winds up."""
    by = Act(role, person, said="the lease is over")
    number = store.merchants.tickets.leave(
        reference or f"L-{merchant_no}", merchant_no, by, TIME_S
    )
    signer = "department" if role == "merchant" else "department-leader"
    store.merchants.dossiers.say(number, "sign", Act(signer, "qian"), TIME_S)
    return number


def centre(store, number, verb, person="yang", said="", shown=""):
    by = Act("card-centre", person, shown, said)
    return store.merchants.dossiers.say(number, verb, by, CLOSED_S)


def pay_all(store, period=1):
    """The period is approved, and the bank has paid what it comes to."""
    approve(store, store.periods.period(period))
    for merchant_no in (CANTEEN, KIOSK):
        register(store, merchant_no)
    payments = store.periods.payments
    made = payments.make_file(f"file {period}", "sun", CLOSED_S)
    payments.note_results([(one.number, "paid", "") for one in made], "sun", CLOSED_S)


def settled(path=":memory:"):
    """(store, pos of the canteen, that of the kiosk, the dossier): the canteen may be closed."""
    store, canteen, kiosk = month(path)
    number = leave(store)
    canteen.inspect(TIME_S)
    store.book([canteen.records])
    end(store, retire(store))
    close(store)
    pay_all(store)
    return store, canteen, kiosk, number


def fill(store):
    """Something in every table of ends, where campus has been: its bakery's reader ends, what its
    move has cost is paid in, but for a rest that is written off, and a merchant that never had a
    reader is closed."""
    oven = Pos(OVEN, BAKERY)
    store.register_device(OVEN, oven.key, BAKERY)
    moved = store.merchants.tickets.move("M-9", OVEN, "north", "wu", "to the other gate", TIME_S)
    for role, person in (("department", "zhao"), ("centre", "feng")):
        store.merchants.dossiers.say(moved, "sign", Act(role, person), TIME_S)
    costs = [("labour", 600), ("material", 0)]
    store.merchants.dossiers.say(moved, "move", Act("centre", "chen"), TIME_S, costs)
    retirement = retire(store, OVEN)
    oven.inspect(TIME_S)
    store.book([oven.records])
    end(store, retirement)
    number = leave(store, BAKERY)
    centre(store, number, "pay-in", shown="500", said="2026-77")
    later_s = NEXT_END_S + 60
    places = [(one.device, one.seq) for one in store.periods.quiet(later_s)[1]]
    store.periods.decide(later_s, places, "zhou", "broken still", later_s)
    close(store, "until the debt", later_s, now_s=later_s)
    centre(store, number, "propose", "yang", "it is insolvent", "department")
    treasurer = Act("finance", "tian", "100")
    store.merchants.dossiers.say(number, "write-off", treasurer, CLOSED_S)
    sign(store, apply(store, "merchant", "2026-9", STALL, replace(FORM, name="Stall")))
    number = leave(store, STALL)
    centre(store, number, "settle")
    statement = newest(store.database, number)
    assert statement is not None
    centre(store, number, "close", "chen", shown=statement.mark)
