"""What one reader may take without network before the ledger has heard of it (R23.1, R24.1).

A reader that is stolen, broken or cloned while it is offline costs at most that. The caps are
policy (spending.py), 0 is none: how many spends may wait, how much together, and how old the
oldest of them may be. What a card may pay there in a day is spending.py's.
"""

from protocols.rules import clock, reasons


def bar(policy, count, sum_fen, oldest_s, amount_fen, interval_ms):
    """reasons.APPROVED, OVER_READER_LIMIT or OFFLINE_TOO_LONG for one more spend of `amount_fen`.

    `count` spends of `sum_fen` wait already, the oldest was between the two seconds `oldest_s`
    (None: none waits). A known clock's doubt counts against the reader; of an unknown one only
    what is sure counts.
    """
    count_max, sum_max_fen = policy["offline_count_max"], policy["offline_sum_max_fen"]
    if count_max and count >= count_max:
        return reasons.OVER_READER_LIMIT
    if sum_max_fen and sum_fen + amount_fen > sum_max_fen:
        return reasons.OVER_READER_LIMIT
    age_max_s = policy["offline_age_max_s"]
    if age_max_s and oldest_s is not None:
        earliest_s, latest_s = clock.seconds(interval_ms)
        age_s = latest_s - oldest_s[0]
        if not clock.is_known(interval_ms, policy["clock_width_max_ms"]):
            age_s = earliest_s - oldest_s[1]
        if age_s > age_max_s:
            return reasons.OFFLINE_TOO_LONG
    return reasons.APPROVED


def is_over(policy, count, sum_fen):
    """Whether a cap on count or sum is used up, whatever comes: who counts may stop there."""
    count_max, sum_max_fen = policy["offline_count_max"], policy["offline_sum_max_fen"]
    return (count_max and count >= count_max) or (sum_max_fen and sum_fen >= sum_max_fen)
