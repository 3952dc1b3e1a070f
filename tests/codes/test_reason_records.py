"""Every reason leaves a record, or it is said why not: each is driven at a real POS.

What is expected is the table that docs/reason-codes.md shows (protocols/rules/record_texts.py).
"""

import pytest

from firmware.services.site import ASK_MS
from protocols.rules import reasons, record_texts, scan_codes, screen_texts
from protocols.rules.card_status import CLOSED, LOST, SUSPENDED
from protocols.wire import messages, seal
from tests.codes.counter import CodeCentre, CodeWindow
from tests.codes.test_codes import REFUSED as SAID_BY_LEDGER
from tests.codes.test_codes import STRANGE
from tests.firmware.counter import CARD_NO, NOON_S, Counter, new_card, truth, with_counter
from tests.firmware.pin_window import CLASSIC, WRONG
from tests.firmware.pin_window import new_card as card_with_pin
from tests.firmware.test_pos import OTHER_KEY, REFUSED, Online, heard
from tests.firmware.test_pos_cancel import Window, unknown
from tests.firmware.test_pos_meals import COUNT, LEFT, MENU, NO_LUNCH, REFUSING, Canteen
from tests.firmware.test_site import RELAY_KEY, Line, opened
from tools import make_docs

NAMES = {
    getattr(messages, name): name
    for name in (
        *("BOOT", "INTENT", "OUTCOME", "REFUSAL", "POWER", "LOST", "FRONT_END", "CREDIT"),
        *("CANCEL", "CODE_SALE", "CAPTURE", "INSPECTION", "FAULT", "TAMPER", "ENTRY"),
    )
}
# Of the supply and of the boot, whatever else happens.
ASIDE = (messages.BOOT, messages.POWER, messages.FRONT_END)
STATES = {
    reasons.CARD_LOST: LOST,
    reasons.CARD_SUSPENDED: SUSPENDED,
    reasons.CARD_CLOSED: CLOSED,
}


class _Map:
    """What a card map says of every card."""

    def __init__(self, status):
        self.known = lambda _card_no: (status, NOON_S)


def shown(counter, reason):
    """The counter, which says that on its display."""
    assert reasons.display(reason) in (counter.shown, *said(counter)), counter.lines
    return counter


def said(counter):
    """Every upper line that its customer's display has had."""
    return [text[3:-1] for text in counter.witness.texts if text[2] == "A"]


def _sold(card=None, amount="12.50", counter=None, **policy):
    counter = counter or Counter(**policy)
    counter.sell(amount, card or new_card())
    return counter


def _rule(reason):
    card, policy = next((card, policy) for each, card, policy in REFUSED if each == reason)
    return _sold(new_card(**card), **policy)


def _status(reason):
    counter = Counter()
    counter.pos._till._card_map = _Map(STATES[reason])
    return _sold(counter=counter)


def _pin(tries):
    counter, card = Counter(offline_max_fen=20_000), card_with_pin(CLASSIC)
    counter.card_no_of = lambda card: truth(card).card_no
    counter.sell("62.50", card)
    for _ in range(tries):
        counter.key(WRONG + b"\r")
        counter.tap(card)
    return counter, card


def _captured():
    counter, card = _pin(3)
    before = len(counter.records())
    counter.key(b"\x1b")
    counter.run_ms(3_000)
    counter.sell("1", card)
    return counter, before


def _last_try():
    counter, card = _pin(2)
    before = len(counter.records())
    counter.key(WRONG + b"\r")
    counter.tap(card)
    return counter, before


def _pulled():
    """The card leaves as soon as the INTENT stands."""
    counter, card = Counter(), new_card()
    counter.hardware.chip.before_exchange = lambda _number: (
        counter.take(card) if card.in_field and counter.records(messages.INTENT) else None
    )
    counter.key(b"12.50\r")
    counter.put(card)
    counter.run_ms(400)
    counter.hardware.chip.before_exchange = None
    return counter


def _other_card():
    counter, _ = unknown()
    counter.run_ms(1_000)  # the sound of that is over
    counter.tap(new_card(2))
    return counter


def _elsewhere_since():
    """The card that was under way pays twice at another window, and comes back."""
    counter, card = unknown()
    other = Counter(device=1002)
    for _ in range(2):
        other.sell("1", card)
        other.run_ms(6_000)
    counter.witness.written[card] = card.eeprom_writes
    counter.run_ms(1_000)
    counter.tap(card)
    return counter


def _full():
    counter = Counter()
    counter.pos._recorder._journal.has_room = lambda: False
    return _sold(counter=counter)


def _empty():
    counter = Counter()
    counter.hardware.set_mains(False)
    counter.hardware.battery_mv_now = 3_000
    counter.run_ms(1_000)
    return _sold(counter=counter)


def _dead():
    counter = Counter()
    counter.hardware.chip.miso = 0
    return _sold(counter=counter)


def _inspected(mah, days_ago):
    counter = Counter()
    counter.pos._uplink = Online()
    tested_s = NOON_S - days_ago * 86400
    counter.pos._supply.test = mah.to_bytes(2, "big") + tested_s.to_bytes(4, "big")
    counter.key(b"F5")
    return counter


def _nothing():
    counter = Counter()
    counter.key(b"1\r")
    counter.pos._order.cost = lambda _view, _now_ms: (0, 0, 0, 0)
    counter.tap(new_card())
    return counter


def _many(count_max=1, **policy):
    counter = Counter(**policy)
    counter.sell("1", new_card(1))
    counter.run_ms(4_000_000 if "offline_age_max_s" in policy else 3_000)
    before = len(counter.records())
    counter.sell("1", new_card(2))
    return counter, before


def _cancel(prepare, online=True):
    window, card = Window(cancel_window_s=600), new_card()
    window.sell("12.50", card)
    window.run_ms(3_000)
    prepare(window, card)
    window.pos._uplink.online = online
    before = len(window.records())
    window.key(b"F7")
    return window, before


def _cancelled(window, card):
    window.cancel(card)
    window.run_ms(3_000)


def _meal_count():
    canteen, card = Canteen(REFUSING), new_card()
    for _ in range(3):
        canteen.sell("1", card)
    before = len(canteen.records())
    assert canteen.sell("1", card) == COUNT
    return canteen, before


def _meal_left():
    canteen, card = Canteen(REFUSING), new_card()
    canteen.meal(card)
    canteen.run_ms(6_000)
    before = len(canteen.records())
    assert canteen.meal(card) == LEFT
    return canteen, before


def _meal_now():
    canteen = Canteen(NO_LUNCH)
    canteen.meal(new_card())
    return canteen


def _meal_spend():
    canteen = Canteen(MENU)
    canteen.sell("30.01", new_card())
    return canteen


def _again():
    counter, card = Counter(), new_card()
    counter.sell("1", card)
    before = len(counter.records())
    counter.key(b"1\r")
    counter.tap(card)
    return counter, before


def _stale(**policy):
    counter = Counter(map_stale_s=60, **policy)
    return _sold(counter=counter)


def _moved():
    counter = Counter()
    line = Line(counter, online=False)
    counter.run_ms(ASK_MS + 1_000)
    line.answer(line.questions[0], messages.MOVED)
    counter.run_ms(3_000)
    return _sold(counter=counter)


class _Behind(Line):
    """The ledger says that it has seen this card go on from what it shows."""

    def say(self, message_type, fields):
        said = seal.unseal(RELAY_KEY, fields["sealed"], messages.RELAY_UP)
        asked = messages.decode_relayed(said, (messages.SPEND_ASK,))
        answer = {"nonce": asked["nonce"], "reason": reasons.CARD_BEHIND}
        payload = messages.encode_relayed(messages.SPEND_ANSWER, answer)
        assert not self._load.hear(seal.seal(RELAY_KEY, payload, messages.RELAY_DOWN), 0)
        return True


def _behind():
    counter = Counter(floor_max_fen=1_000)
    _Behind(counter)
    return _sold(counter=counter)


def _opened():
    counter = Counter()
    opened(counter)
    return _sold(counter=counter)


def _two():
    counter = Counter()
    counter.sell("12.50", new_card(1), new_card(2))
    return counter


def _nothing_sold():
    window = Window()
    window.key(b"F7")
    return window


AT_COUNTER = {
    **{reason: (lambda reason=reason: _rule(reason)) for reason, _, _ in REFUSED},
    **{reason: (lambda reason=reason: _status(reason)) for reason in STATES},
    reasons.PIN_NEEDED: lambda: _pin(0)[0],
    reasons.PIN_WRONG: lambda: _pin(1)[0],
    reasons.IDENTITY_CHECK: _last_try,
    reasons.CARD_CAPTURED: _captured,
    reasons.COUNTER_WORN: lambda: _sold(with_counter(new_card(), 0xFFFF)),
    reasons.FOREIGN_CARD: lambda: _sold(new_card(mac_key=OTHER_KEY)),
    reasons.WRONG_KEY: lambda: _sold(new_card(purse_key=OTHER_KEY)),
    reasons.TWO_CARDS: _two,
    reasons.CARD_GONE: _pulled,
    reasons.TAP_AGAIN: lambda: unknown()[0],
    reasons.SAME_CARD_PLEASE: _other_card,
    reasons.ASK_LEDGER: _elsewhere_since,
    reasons.PAID_JUST_NOW: _again,
    reasons.BATTERY_UNTESTED: lambda: _inspected(1280, 181),
    reasons.BATTERY_WORN: lambda: _inspected(511, 1),
    reasons.JOURNAL_FULL: _full,
    reasons.BATTERY_EMPTY: _empty,
    reasons.READER_FAULT: _dead,
    reasons.CARD_BEHIND: _behind,
    reasons.OFFLINE: lambda: _cancel(lambda *_: None, online=False),
    reasons.BAD_AMOUNT: _nothing,
    reasons.OVER_READER_LIMIT: lambda: _many(offline_count_max=1),
    reasons.OFFLINE_TOO_LONG: lambda: _many(offline_age_max_s=3_600),
    reasons.NOTHING_TO_CANCEL: _nothing_sold,
    reasons.CANCEL_TOO_LATE: lambda: _cancel(lambda window, _: window.run_ms(700_000)),
    reasons.CANCELLED_ALREADY: lambda: _cancel(_cancelled),
    reasons.OVER_STALE_LIMIT: lambda: _stale(stale_max_fen=500),
    reasons.MAP_EXPIRED: lambda: _stale(stale_max_fen=500, map_expired_s=7_260),
    reasons.NO_MEAL_LEFT: _meal_left,
    reasons.NO_MEAL_NOW: _meal_now,
    reasons.OVER_MEAL_SPEND: _meal_spend,
    reasons.OVER_MEAL_COUNT: _meal_count,
    reasons.CASE_OPENED: _opened,
    reasons.MOVED: _moved,
}


def left(counter, before=0):
    """The kinds of record since, as the table names them."""
    records = counter.records()[before:]
    return ", ".join(NAMES[one["kind"]] for one in records if one["kind"] not in ASIDE)


def check_sound(counter, reason):
    """What was heard last is what the table says."""
    counter.run_ms(1_500)
    beeps, burst = counter.witness.beeps, []
    for at, (time_ms, duration_ms) in enumerate(beeps):
        ended_ms = sum(beeps[at - 1]) if at else 0
        burst = [*burst, duration_ms] if time_ms - ended_ms <= 300 else [duration_ms]
    words = " ".join("long" if duration_ms > 100 else "short" for duration_ms in burst)
    name = screen_texts.TEXTS[reason][2]
    assert words == dict(make_docs.sounds()).get(name, ""), reason


def test_the_table_has_every_reason_and_a_why_for_none():
    assert set(record_texts.RECORDS) == set(reasons.DISPLAY)
    for kinds, note in record_texts.RECORDS.values():
        assert note or kinds
        assert set(filter(None, kinds.split(", "))) <= set(NAMES.values())
    scanned = {*STRANGE, *SAID_BY_LEDGER, reasons.CODE_USED, reasons.CODE_IS_IDENTITY}
    scanned |= {reasons.CODE_NEEDS_NETWORK, reasons.CODE_NO_CANCEL}
    driven = {*AT_COUNTER, *scanned, *record_texts.ELSEWHERE}
    assert driven == set(reasons.DISPLAY) and not scanned & set(AT_COUNTER)


@pytest.mark.parametrize("reason", AT_COUNTER)
def test_a_reason_leaves_what_the_table_says(reason):
    driven = AT_COUNTER[reason]()
    counter, before = driven if isinstance(driven, tuple) else (driven, 0)
    kinds, _ = record_texts.RECORDS[reason]
    assert left(shown(counter, reason), before) == kinds
    if reason != reasons.OFFLINE:  # here of a key; at a tap it is the reader's
        check_sound(counter, reason)
    if kinds.endswith("REFUSAL"):
        told = [one for one in counter.records(messages.REFUSAL) if one["reason"] == reason]
        assert told and (told[-1]["card_no"] in (0, 1, 2, CARD_NO))


# --- with a scanner -----------------------------------------------------------------------------


@pytest.fixture
def at(tmp_path):
    centre = CodeCentre(tmp_path / "ledger.sqlite")
    yield centre, CodeWindow(centre, loads=False)
    centre.store.close()


def scanned(reason, centre, window):
    """Show what is refused for that reason."""
    if reason in STRANGE:
        window.pay(STRANGE[reason])
    elif reason == reasons.CODE_IS_IDENTITY:
        window.pay(centre.code(kind=scan_codes.CAMPUS_IDENTITY))
    elif reason in SAID_BY_LEDGER:
        window.pay(SAID_BY_LEDGER[reason](centre))
    elif reason == reasons.CODE_NEEDS_NETWORK:
        window.line.online = False
        window.pay(centre.code())
    else:
        code = centre.code()
        window.pay(code)
        window.run_ms(3_000)
        if reason == reasons.CODE_NO_CANCEL:
            window.key(b"F7")
        else:
            window.pay(code)


@pytest.mark.parametrize(
    "reason",
    [
        *(*STRANGE, reasons.CODE_IS_IDENTITY, *SAID_BY_LEDGER),
        *(reasons.CODE_NEEDS_NETWORK, reasons.CODE_USED, reasons.CODE_NO_CANCEL),
    ],
)
def test_a_code_that_is_refused_leaves_what_the_table_says(at, reason):
    scanned(reason, *at)
    _, window = at
    kinds, _ = record_texts.RECORDS[reason]
    if reason in (reasons.CODE_USED, reasons.CODE_NO_CANCEL):
        kinds = "CODE_SALE, " + kinds  # the one before, which was paid
    assert left(shown(window, reason)) == kinds
    check_sound(window, reason)
    assert window.records(messages.REFUSAL)[-1]["reason"] == reason
    if record_texts.RECORDS[reason][0].startswith("CODE_SALE"):
        assert window.sales()[-1] == (0, messages.NOT_COMMITTED)


def test_silence_of_the_ledger_leaves_a_code_sale(at):
    centre, window = at
    window.line.say = lambda *_: True  # on its way, and never heard
    window.pay(centre.code())
    window.run_ms(8_000)
    assert left(shown(window, reasons.CODE_NEEDS_NETWORK)) == "CODE_SALE, REFUSAL"


# --- keys ---------------------------------------------------------------------------------------


def test_fn_8_that_is_refused_leaves_a_record():
    """Found by this table: what barred the aggregate code was shown and nowhere written."""
    counter = Counter()
    counter.key(b"12.50\r")
    counter.hardware.set_mains(False)
    counter.hardware.battery_mv_now = 3_000
    counter.run_ms(600)
    counter.key(b"F8")
    assert left(shown(counter, reasons.BATTERY_EMPTY)) == "REFUSAL"
    (refusal,) = counter.records(messages.REFUSAL)
    assert (refusal["reason"], refusal["amount_fen"]) == (reasons.BATTERY_EMPTY, 1250)


@pytest.mark.parametrize("keys", [b"0\r", b"\r", b"12.345", b"T", b"F9", b"F6"])
def test_a_key_that_means_nothing_leaves_none(keys):
    counter = Counter()
    counter.key(keys)
    assert left(counter) == ("FAULT" if keys == b"F6" else "")


# --- the sound of each --------------------------------------------------------------------------

SIX = {
    reasons.CARD_LOST: [400, 400, 80],
    reasons.CARD_SUSPENDED: [400, 400, 80, 80],
    reasons.CARD_CLOSED: [400, 400, 400],
    reasons.NOT_YET_VALID: [400, 80, 400],
    reasons.EXPIRED: [400, 80, 80, 400],
    reasons.KIND_NOT_SERVED: [400, 80, 80, 80],
}


@pytest.mark.parametrize("reason", SIX)
def test_a_card_s_state_is_heard(reason):
    """R10, R14, R15: its own words, its own sound, its own record."""
    counter = AT_COUNTER[reason]()
    counter.run_ms(3_000)
    beeps, lights = heard(counter)
    assert beeps == SIX[reason] and lights[-2:] == ["01", "00"]
    (refusal,) = counter.records(messages.REFUSAL)
    assert (refusal["reason"], refusal["card_no"]) == (reason, CARD_NO)
