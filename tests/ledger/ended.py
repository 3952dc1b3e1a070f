"""Books in which readers have ended and a merchant has left, and how an office does that."""

from ledger.procedures import Act
from tests.ledger.months import CLOSED_S, END_S, approve, close, month, register
from tests.ledger.readers import CANTEEN, KIOSK

TIME_S = END_S + 60  # when its department has signed
POS, SILENT = 1001, 1002


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
