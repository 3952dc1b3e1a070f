"""May this card spend this amount here and now? One answer for reader, agent and ledger.

R11 and R13 (kinds and validity), R19.1 and R19.2 (limits), R23.1 and R24.1 (what is allowed
without mains and network). The figures are policy, versioned by `epoch`; the regulation leaves
them open.

A reader that boots without network may not know the time and still has to sell (R23.1b). Then it
refuses only the cards that are surely out of their validity, takes no more than `blind_max_fen`
at once (0: nothing), and begins no new day for a card before that day is sure.

What a reader knows of lost cards (R14.2) is as old as its map (card_status.py). Beyond
`map_stale_s` it takes no more than `stale_max_fen` at once, beyond `map_expired_s` nothing;
without a map it is beyond both, whatever the time. 0: no such rule, as with what is added here
for a reader without network.
"""

from protocols.rules import clock, reasons
from protocols.rules.card_status import LOST
from protocols.wire import messages

# Of the card's spend state (protocols/card/purse_classic.py).
COUNTER_MAX = 0xFFFF
SPENT_FEN_MAX = 0xFFFFFF
SINCE_PIN_COUNT_MAX = 15
STAFF, STUDENT, TEMPORARY = 1, 2, 3  # kinds of card, R11

POLICY_FIELDS = (
    "epoch",
    "utc_offset_s",
    "amount_max_fen",  # one spend, whatever else holds
    "no_pin_max_fen",  # one spend without PIN
    "since_pin_max_fen",  # sum of spends since the last PIN
    "day_max_fen",  # sum of a calendar day
    "offline_max_fen",  # one spend while the reader has no network
    "clock_width_max_ms",  # a clock that is less certain is not known
    "blind_max_fen",  # one spend while the clock is not known
    "pin_tries_max",  # wrong PINs in a row, until somebody has to look who the holder is (R19.3)
    "split_window_s",  # charges so close to each other are one purchase (split.py); 0: none are
    "cancel_window_s",  # how old the last sale may be to be cancelled (FN 7); 0: none is
    "map_stale_s",  # so old, what is known of lost cards is old
    "stale_max_fen",  # one spend while it is
    "map_expired_s",  # so old, it is not enough to take anything
    "offline_day_max_fen",  # sum of a card's calendar day while the reader has no network
    "offline_count_max",  # so many spends wait at one reader (exposure.py), then none without
    "offline_sum_max_fen",  # so much waits
    "offline_age_max_s",  # so old is the oldest that waits
    "since_pin_count_max",  # spends since the last PIN
    "staff_day_max_fen",  # sum of a calendar day, of a card of this kind
    "student_day_max_fen",
    "temporary_day_max_fen",
    "floor_max_fen",  # one spend that the ledger is not asked about (floor limit); 0: it never is
)
# Fields that settings made before them lack (see settings.py), and what holds then.
POLICY_DEFAULTS = {
    "pin_tries_max": 3,
    "split_window_s": 180,
    "cancel_window_s": 600,
    "map_stale_s": 0,
    "stale_max_fen": 0,
    "map_expired_s": 0,
    "offline_day_max_fen": 0,
    "offline_count_max": 0,
    "offline_sum_max_fen": 0,
    "offline_age_max_s": 0,
    "since_pin_count_max": 0,
    "staff_day_max_fen": 0,
    "student_day_max_fen": 0,
    "temporary_day_max_fen": 0,
    "floor_max_fen": 0,
}
_DAY_OF_KIND = {
    STAFF: "staff_day_max_fen",
    STUDENT: "student_day_max_fen",
    TEMPORARY: "temporary_day_max_fen",
}
PIN_TRIES_MAX = 15  # as far as a card counts


def tries_left(policy, card):
    """How many more PINs may be tried on `card` (a purse view); a right one begins anew.

    The card counts, so it is one count on all readers.
    """
    return max(policy["pin_tries_max"] - card.pin_tries, 0)


def decide(
    policy, card, amount_fen, interval_ms, offline, proof=0, purchase_fen=0, status=0, map_s=0,
    period=0,
):  # fmt: skip
    """(reason, state): reasons.APPROVED or why not, and the card's next spend state.

    `policy` is a dict with POLICY_FIELDS. `card` has the attributes of a purse view: kind,
    valid_from, valid_to (days), counter, balance_fen, day, day_total_fen, since_pin_fen,
    since_pin_count, pin_tries. `interval_ms` is (earliest, latest) in ms since 1970. `proof` says
    why it is the holder: messages.FLAG_PIN, messages.FLAG_IDENTITY or 0. `state` is the tuple
    (day, day_total_fen, since_pin_fen, since_pin_count, pin_tries), or None when refused.
    `purchase_fen`: with what this card has just paid here, if that is one purchase (R19.1).
    `status`: of the card in the map, which the ledger called the newest at `map_s` (0: no map).
    `period`: the answer of the meal period (meals.sell): APPROVED, PIN_NEEDED or why not.
    PIN_NEEDED is said only where nothing else is wrong: nobody gives a PIN for nothing.
    """
    earliest_s, latest_s = clock.seconds(interval_ms)
    first_day = clock.day(earliest_s, policy["utc_offset_s"])
    last_day = clock.day(latest_s, policy["utc_offset_s"])
    # A day is over for the card only when it is over at both ends of the interval, and a card
    # that has seen a later day than ours keeps its own: an unsure clock never resets a limit.
    day = max(first_day, card.day)
    blind = not clock.is_known(interval_ms, policy["clock_width_max_ms"])
    # A known clock is a matter of seconds, and a doubt counts against the card. Of an unknown one
    # the doubt is all there is: the amount bounds what it may cost.
    from_day, to_day = (last_day, day) if blind else (first_day, last_day)
    # As with validity: of an unknown clock only what is sure counts, and the amount bounds it.
    age_s = latest_s - map_s
    stale_s, expired_s = policy["map_stale_s"], policy["map_expired_s"]
    is_stale = stale_s and age_s > stale_s
    is_expired = expired_s and (earliest_s - map_s if blind else age_s) > expired_s
    day_total_fen = amount_fen + (card.day_total_fen if day == card.day else 0)
    offline_day_fen = policy["offline_day_max_fen"]
    kind_day_fen = policy[_DAY_OF_KIND[card.kind]] if card.kind in _DAY_OF_KIND else 0
    count_max = policy["since_pin_count_max"]
    since_pin_fen = card.since_pin_fen + amount_fen
    since_pin_count = min(card.since_pin_count + 1, SINCE_PIN_COUNT_MAX)
    checks = (
        (amount_fen <= 0, reasons.BAD_AMOUNT),
        (status, reasons.CARD_LOST - LOST + status),
        (card.kind not in (STAFF, STUDENT, TEMPORARY), reasons.KIND_NOT_SERVED),
        (from_day < card.valid_from, reasons.NOT_YET_VALID),
        (to_day > card.valid_to, reasons.EXPIRED),
        (card.counter >= COUNTER_MAX, reasons.COUNTER_WORN),
        (is_expired, reasons.MAP_EXPIRED),
        (amount_fen > policy["amount_max_fen"], reasons.OVER_SPEND_LIMIT),
        (offline and amount_fen > policy["offline_max_fen"], reasons.OVER_OFFLINE_LIMIT),
        (offline and 0 < offline_day_fen < day_total_fen, reasons.OVER_OFFLINE_LIMIT),
        (blind and amount_fen > policy["blind_max_fen"], reasons.CLOCK_UNKNOWN),
        (is_stale and amount_fen > policy["stale_max_fen"], reasons.OVER_STALE_LIMIT),
        (day_total_fen > policy["day_max_fen"], reasons.OVER_DAY_LIMIT),
        (0 < kind_day_fen < day_total_fen, reasons.OVER_DAY_LIMIT),
        (period not in (reasons.APPROVED, reasons.PIN_NEEDED), period),
        (amount_fen > card.balance_fen, reasons.BALANCE_SHORT),
        (not proof and amount_fen > policy["no_pin_max_fen"], reasons.PIN_NEEDED),
        (not proof and purchase_fen > policy["no_pin_max_fen"], reasons.PIN_NEEDED),
        (not proof and since_pin_fen > policy["since_pin_max_fen"], reasons.PIN_NEEDED),
        (not proof and 0 < count_max < since_pin_count, reasons.PIN_NEEDED),
        (not proof and period, reasons.PIN_NEEDED),
    )
    for refused, reason in checks:
        if refused:
            return reason, None
    if proof == messages.FLAG_PIN:
        return reasons.APPROVED, (day, day_total_fen, 0, 0, 0)
    # Beyond what a card can count it is above any limit all the same.
    since_pin_fen = min(since_pin_fen, SPENT_FEN_MAX)
    state = (day, day_total_fen, since_pin_fen, since_pin_count, card.pin_tries)
    return reasons.APPROVED, state


def is_asked(policy, amount_fen):
    """Whether the ledger is asked about one spend of `amount_fen` where there is a network.

    What it has not allowed then is judged as without network.
    """
    return 0 < policy["floor_max_fen"] < amount_fen


def list_left(policy, map_s, interval_ms):
    """What to warn of an old map with: None while it is fresh, or where that does not matter.

    Else the minutes until nothing is taken any more, by the latest clock; -1 if that never comes.
    """
    stale_s, expired_s = policy["map_stale_s"], policy["map_expired_s"]
    age_s = clock.seconds(interval_ms)[1] - map_s
    if not stale_s or age_s <= stale_s:
        return None
    return max(expired_s - age_s, 0) // 60 if expired_s else -1
