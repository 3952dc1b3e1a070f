"""Keys and prices: every pair of state and key, every answer, and what an order costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import charging, charging_texts, meals, money, reasons
from protocols.rules.charging import AMOUNT, FIXED, ITEM, MEAL

CR, ESC = "\r", "\x1b"
BYTES = b"0123456789.+\rFT\x1bx\x00\xff"
STAFF, STUDENT, TEMPORARY = 1, 2, 3


def keyed(keys, mode=AMOUNT):
    """(entry, effects, answers) after a row of keys; answers that are FINE are left out."""
    entry, effects, answers = charging.home(mode), [], []
    for key in keys:
        entry, effect, answer = charging.on(entry, ord(key))
        effects.append(effect)
        if answer != charging.FINE:
            answers.append(answer)
    return entry, effects, answers


# --- what is refused, and that it changes nothing -----------------------------------------------


@pytest.mark.parametrize(
    ("keys", "mode", "answer"),
    [
        (CR, AMOUNT, charging.NOTHING_KEYED),
        ("+", AMOUNT, charging.NOTHING_KEYED),
        (CR, ITEM, charging.NOTHING_KEYED),
        ("5++", AMOUNT, charging.NOTHING_KEYED),
        ("3++", ITEM, charging.NOTHING_KEYED),
        ("12." + CR, AMOUNT, charging.UNFINISHED),
        ("." + CR, AMOUNT, charging.UNFINISHED),
        ("12.+", AMOUNT, charging.UNFINISHED),
        ("12.T", AMOUNT, charging.UNFINISHED),
        ("1..", AMOUNT, charging.TWO_POINTS),
        ("1.2.", AMOUNT, charging.TWO_POINTS),
        ("1.23.", AMOUNT, charging.TWO_POINTS),
        ("1.234", AMOUNT, charging.TOO_FINE),
        ("1234567", AMOUNT, charging.TOO_MUCH),
        ("999999.99+1", AMOUNT, charging.TOO_MUCH),
        ("999999+.99+.0+", AMOUNT, charging.ZERO_AMOUNT),
        ("999999.9+.1", AMOUNT, charging.TOO_MUCH),
        ("123", ITEM, charging.TOO_LONG),
        ("1+" * 12 + "1+", AMOUNT, charging.TOO_MANY_PARTS),
        ("1+" * 12 + "1" + CR, ITEM, charging.TOO_MANY_PARTS),
        ("0" + CR, AMOUNT, charging.ZERO_AMOUNT),
        ("000.00" + CR, AMOUNT, charging.ZERO_AMOUNT),
        ("5+0" + CR, AMOUNT, charging.ZERO_AMOUNT),
        ("0+", AMOUNT, charging.ZERO_AMOUNT),
        ("0" + CR, ITEM, charging.NO_SUCH_ITEM),
        ("7+00+", ITEM, charging.NO_SUCH_ITEM),
        ("7.", ITEM, charging.NO_POINT_HERE),
        (".", ITEM, charging.NO_POINT_HERE),
        ("5", FIXED, charging.NO_DIGITS_HERE),
        ("+", MEAL, charging.NO_DIGITS_HERE),
        ("5F", AMOUNT, charging.KEY_BUSY),
        ("5" + CR + "F7", AMOUNT, charging.NO_SUCH_FN),
        ("5" + CR + "F1", AMOUNT, charging.NO_SUCH_FN),
        ("5" + CR + "F" + CR, AMOUNT, charging.NO_SUCH_FN),
        ("5" + CR + "FT", ITEM, charging.NO_SUCH_FN),
        ("5" + CR + "6", AMOUNT, charging.KEY_BUSY),
        ("5" + CR + CR, AMOUNT, charging.KEY_BUSY),
        ("T", AMOUNT, charging.FN_FIRST),
        ("T", MEAL, charging.FN_FIRST),
        ("F9", AMOUNT, charging.NO_SUCH_FN),
        ("F0", ITEM, charging.NO_SUCH_FN),
        ("F+", AMOUNT, charging.NO_SUCH_FN),
        ("FT5", AMOUNT, charging.ESC_FIRST),
        ("x", AMOUNT, charging.NO_SUCH_KEY),
        ("5" + CR + "\x00", AMOUNT, charging.NO_SUCH_KEY),
    ],
)
def test_a_wrong_key_is_answered_and_changes_nothing(keys, mode, answer):
    before, _, none = keyed(keys[:-1], mode)
    after, effects, answers = keyed(keys, mode)
    assert (none, answers, effects[-1]) == ([], [answer], "refuse")
    assert after == before


@pytest.mark.parametrize(
    ("keys", "mode", "parts"),
    [
        ("12.50", AMOUNT, (1250,)),
        ("12.5", AMOUNT, (1250,)),
        ("12", AMOUNT, (1200,)),
        (".5", AMOUNT, (50,)),
        ("0.05", AMOUNT, (5,)),
        ("00007", AMOUNT, (700,)),  # leading zeros are nothing
        ("999999.99", AMOUNT, (money.FEN_MAX,)),
        ("6+4.5+2", AMOUNT, (600, 450, 200)),
        ("6+4.5+", AMOUNT, (600, 450)),  # as on an adding machine
        ("5", ITEM, (5,)),
        ("05", ITEM, (5,)),
        ("99+1+1", ITEM, (99, 1, 1)),
        ("99+", ITEM, (99,)),
        ("", FIXED, ()),
        ("", MEAL, ()),
        ("1" + ESC + "2", AMOUNT, (200,)),
        ("1+2" + ESC + "3", AMOUNT, (300,)),  # the whole order is dropped
        ("12..34.56", AMOUNT, (1234,)),  # what was refused is not there
    ],
)
def test_what_confirm_asks_a_card_for(keys, mode, parts):
    entry, effects, _ = keyed(keys + CR, mode)
    assert entry[0] == "armed" and effects[-1] in ("arm", "last")
    assert charging.order_of(entry) == (mode, parts)


@pytest.mark.parametrize(("keys", "mode"), [("5", AMOUNT), ("7+8", ITEM), ("", FIXED), ("", MEAL)])
def test_an_armed_order_may_be_paid_by_the_aggregate_code(keys, mode):
    armed, _, _ = keyed(keys + CR, mode)
    entry, effects, answers = keyed(keys + CR + "F8", mode)
    assert (entry, effects[-2:], answers) == (armed, ["choose", "aggregate"], [])
    assert keyed(keys + CR + "FF", mode)[0] == armed, "the card, after all"
    assert charging.order_of(keyed(keys + CR + "F", mode)[0]) == charging.order_of(armed)
    assert keyed(keys + CR + "F" + ESC, mode)[0] == charging.home(mode)


@pytest.mark.parametrize("mode", charging.HOMES)
def test_functions_are_reached_from_every_mode_and_esc_leads_back(mode):
    for digit, effect in charging.FUNCTIONS.items():
        entry, effects, answers = keyed(f"F{digit}", mode)
        assert (effects[-1], answers) == (effect, [])
        assert entry == charging.home(digit if effect == "mode" else mode)
    assert keyed("F" + ESC, mode)[0] == keyed("FT" + ESC, mode)[0] == charging.home(mode)
    assert keyed("FTT", mode)[1] == ["choose", "totals", "turn"]


def test_subtotal_is_what_has_been_keyed():
    assert charging.subtotal(keyed("6+4.5")[0]) == 1050
    assert charging.subtotal(keyed("6+4.5" + CR)[0]) == 1050
    assert charging.subtotal(keyed("6+4", ITEM)[0]) == 0


# --- the table ----------------------------------------------------------------------------------


def lines():
    return [line.split() for line in charging.TABLE.strip().split("\n")]


def test_every_pair_is_answered_and_every_word_is_known():
    head, *rows = lines()
    assert head == ["state", *charging.KEYS]
    states = [row[0] for row in rows]
    assert states == list(charging_texts.STATES) and len(set(states)) == len(states)
    effects = set()
    for row in rows:
        assert len(row) == 1 + len(charging.KEYS)
        for cell, key in zip(row[1:], charging.KEYS, strict=True):
            after, effect = cell.split("/")
            assert charging.cell(row[0], key) == (after, effect)
            assert after in {"=", "home", *states}
            if effect in charging.ANSWERS:
                assert after == "="
            else:
                effects.add(effect)
    assert effects == set(charging_texts.EFFECTS)
    assert {cell.split("/")[1] for row in rows for cell in row[1:]} - effects == set(
        charging.ANSWERS
    )
    assert set(charging.HOMES.values()) <= set(states)
    assert {row[KEY_ESC] for row in rows} == {"home/clear"}


KEY_ESC = 1 + charging.KEYS.index("esc")


def test_every_state_is_reached():
    seen, ways = set(), [charging.home(mode) for mode in charging.HOMES]
    while ways:
        entry = ways.pop()
        if entry[0] not in seen:
            seen.add(entry[0])
            ways += [charging.on(entry, byte)[0] for byte in BYTES]
    assert seen == set(charging_texts.STATES)


def test_answers_have_texts_that_fit_and_nobody_elses_number():
    texts = charging_texts.TEXTS
    own = {value for name, value in vars(charging).items() if name.isupper() and _is_answer(value)}
    of_meals = {
        value for name, value in vars(meals).items() if name.isupper() and _is_answer(value)
    }
    assert set(charging.ANSWERS.values()) <= own and not own & of_meals
    assert set(texts) == own | of_meals and len(own) == 19 and len(of_meals) == 2
    assert not set(texts) & set(reasons.DISPLAY)
    for display, english, chinese in texts.values():
        assert 0 < len(display) <= 16 and display.isascii() and display == display.strip().upper()
        assert english.isascii() and len(english) > 10
        assert 2 <= len(chinese) <= 8
        assert all("\u4e00" <= char <= "\u9fff" for char in chinese)


def _is_answer(value):
    return isinstance(value, int) and 500 < value < 600


def test_the_printed_table_has_every_state_and_every_answer():
    printed = charging_texts.table()
    assert len(printed) == 2 + len(charging_texts.STATES)
    assert {line.count("|") for line in printed} == {2 + len(charging.KEYS)}
    text = "\n".join(printed)
    for number in charging.ANSWERS.values():
        assert f" {number} " in text
    assert set(charging_texts.FUNCTIONS) == set(charging.FUNCTIONS)


@given(st.lists(st.sampled_from(BYTES), max_size=60), st.sampled_from(list(charging.HOMES)))
def test_no_row_of_keys_makes_it_fail_or_overflow(keys, mode):
    entry = charging.home(mode)
    for byte in keys:
        before = entry
        entry, effect, answer = charging.on(before, byte)
        assert (answer == charging.FINE) == (effect != "refuse")
        assert answer == charging.FINE or (entry == before and answer in charging_texts.TEXTS)
        state, now, value, parts = entry
        assert state in charging_texts.STATES and now in charging.HOMES
        assert len(parts) <= charging.PARTS_MAX and all(part > 0 for part in parts)
        if now == AMOUNT:
            assert 0 <= charging.subtotal(entry) <= money.FEN_MAX
        elif now == ITEM:
            assert max((value, *parts)) <= charging.ITEM_MAX
        if state == "armed":
            assert value == 0 and bool(parts) == (now in (AMOUNT, ITEM))
    assert charging.on(entry, charging.ESC)[0] == charging.home(entry[1])


@given(st.from_regex(r"[0-9]{0,6}(\.[0-9]{1,2})?", fullmatch=True))
def test_keys_mean_what_the_same_text_means(text):
    """An amount on the keypad is the amount that money.parse_yuan reads."""
    entry, _, answers = keyed(text + CR)
    fen = money.parse_yuan("0" + text if text.startswith(".") else text)
    if fen:
        assert charging.order_of(entry) == (AMOUNT, (fen,)) and not answers
    else:
        assert entry[0] != "armed" and answers


# --- prices -------------------------------------------------------------------------------------

ROWS = (
    (1, STAFF, 0, 900),
    (1, 0, 2, 1200),
    (1, 0, 0, 1000),
    (2, 0, 1, 300),
    (3, STUDENT, 0, 0xFFFFFF),
    (charging.FIXED_ITEM, 0, 0, 800),
    (charging.MEAL_ITEM, TEMPORARY, 0, 1500),
    (charging.MEAL_ITEM, 0, 0, 1),
)
PRICES = charging.packed(ROWS)


@pytest.mark.parametrize(
    ("order", "kind", "periods", "answer", "fen"),
    [
        ((AMOUNT, (600, 450)), STUDENT, (0,), charging.FINE, 1050),
        ((AMOUNT, ()), STUDENT, (0,), charging.ZERO_AMOUNT, 0),
        ((AMOUNT, (0xFFFFFF,)), STUDENT, (0,), charging.FINE, 0xFFFFFF),
        ((AMOUNT, (0xFFFFFF, 1)), STUDENT, (0,), charging.TOO_MUCH, 0),
        ((ITEM, (1,)), STAFF, (2,), charging.FINE, 900),
        ((ITEM, (1,)), STUDENT, (2,), charging.FINE, 1200),
        ((ITEM, (1,)), STUDENT, (3,), charging.FINE, 1000),
        ((ITEM, (1,)), STUDENT, (0,), charging.FINE, 1000),
        # Perhaps lunch, perhaps not: the lower one.
        ((ITEM, (1,)), STUDENT, (0, 2), charging.FINE, 1000),
        ((ITEM, (1, 1, 2)), STUDENT, (1,), charging.FINE, 2300),
        # Sold at breakfast only, and it may be over.
        ((ITEM, (2,)), STUDENT, (0, 1), charging.NOT_PRICED, 0),
        ((ITEM, (1, 2)), STUDENT, (2,), charging.NOT_PRICED, 0),
        ((ITEM, (4,)), STUDENT, (1,), charging.NOT_PRICED, 0),
        ((ITEM, (3,)), STAFF, (1,), charging.NOT_PRICED, 0),
        ((ITEM, (3,)), STUDENT, (1,), charging.FINE, 0xFFFFFF),
        ((ITEM, (3, 3)), STUDENT, (1,), charging.TOO_MUCH, 0),
        ((FIXED, ()), TEMPORARY, (0, 1, 2), charging.FINE, 800),
        ((MEAL, ()), TEMPORARY, (1,), charging.FINE, 1500),
        ((MEAL, ()), STAFF, (1,), charging.FINE, 1),
    ],
)
def test_what_an_order_costs(order, kind, periods, answer, fen):
    assert charging.fault_of(PRICES) == charging.FINE
    assert charging.cost(order, PRICES, kind, periods) == (answer, fen)


def test_what_is_shown_before_the_card_is_known():
    assert charging.offered((ITEM, (1,)), PRICES, (2,)) == (900, 1200)
    assert charging.offered((ITEM, (3,)), PRICES, (2,)) == (0xFFFFFF, 0xFFFFFF)
    assert charging.offered((ITEM, (4,)), PRICES, (2,)) == (0, 0)
    assert charging.offered((FIXED, ()), b"", (2,)) == (0, 0)
    plain = charging.packed([(charging.PLAIN_MEAL_ITEM, 0, 0, 1800)])
    assert charging.offered((MEAL, ()), PRICES, (2,)) == (1, 1500)
    assert charging.offered((MEAL, ()), PRICES + plain, (2,)) == (1, 1800)


@pytest.mark.parametrize(
    ("prices", "answer"),
    [
        (b"", charging.FINE),
        (None, charging.PRICE_FORM),
        ([1, 0, 0, 0, 0, 1], charging.PRICE_FORM),
        (PRICES[:-1], charging.PRICE_FORM),
        (charging.packed([(101, 0, 0, 1)]), charging.FINE),
        (charging.packed([(102, 0, 0, 1)]), charging.PRICE_FORM),
        (charging.packed([(1, 4, 0, 1)]), charging.PRICE_FORM),
        (charging.packed([(1, 0, 9, 1)]), charging.PRICE_FORM),
        (charging.packed([(1, 0, 0, 0)]), charging.PRICE_FORM),
        (charging.packed([(1, 0, 0, 5), (1, 0, 0, 6)]), charging.PRICE_HIDDEN),
        (charging.packed([(1, 0, 2, 5), (1, 2, 2, 6)]), charging.PRICE_HIDDEN),
        (charging.packed([(1, 2, 0, 5), (1, 0, 2, 6)]), charging.FINE),
        (charging.packed([(at // 3, 1 + at % 3, 0, 9) for at in range(306)]), charging.FINE),
        (charging.packed([(at // 4, at % 4, 1, 9) for at in range(307)]), charging.PRICE_FORM),
    ],
)
def test_a_wrong_price_list_is_answered(prices, answer):
    assert charging.fault_of(prices) == answer


DRAWN = st.lists(
    st.tuples(
        st.integers(0, 5) | st.just(100),
        st.integers(0, 3),
        st.integers(0, 8),
        st.integers(1, 9999),
    ),
    max_size=20,
)
PERIODS = st.sets(st.integers(0, 8), min_size=1).map(lambda drawn: tuple(sorted(drawn)))


@given(DRAWN, st.sampled_from([ITEM, FIXED, MEAL]), st.lists(st.integers(1, 6), min_size=1,
       max_size=12), st.integers(0, 255), PERIODS, PERIODS)  # fmt: skip
def test_a_doubt_about_the_period_never_costs_the_holder_more(
    rows, mode, items, kind, periods, others
):
    order = (mode, tuple(items) if mode == ITEM else ())
    prices = charging.packed(rows)
    answer, fen = charging.cost(order, prices, kind, periods)
    unsure = charging.cost(order, prices, kind, tuple(sorted({*periods, *others})))
    if unsure[0] == charging.FINE:
        assert answer == charging.FINE and unsure[1] <= fen
    if answer != charging.FINE:
        assert fen == 0 and answer in charging_texts.TEXTS


@given(DRAWN, st.binary(max_size=60))
def test_bytes_are_a_price_list_or_answered(rows, data):
    assert charging.fault_of(data) in (charging.FINE, charging.PRICE_FORM, charging.PRICE_HIDDEN)
    prices = charging.packed(rows)
    if charging.fault_of(prices) == charging.FINE:
        for item, kind, period, _ in rows:
            order = {charging.FIXED_ITEM: (FIXED, ()), charging.MEAL_ITEM: (MEAL, ())}
            answer, _ = charging.cost(order.get(item, (ITEM, (item,))), prices, kind, (period,))
            assert answer == charging.FINE
