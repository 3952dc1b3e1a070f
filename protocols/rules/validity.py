"""Is a card within its period now? (R13) For readers that take no money; spending.py has its own.

The clock is an interval. A known clock is a matter of seconds, and a doubt counts against the
card; where a clock is not known nobody is kept out by a doubt: only what is surely out is out.
"""

from protocols.rules import clock, reasons
from protocols.rules.card_status import LOST
from protocols.rules.spending import STAFF, STUDENT, TEMPORARY


def reason(identity, interval_ms, policy):
    """reasons.APPROVED, NOT_YET_VALID or EXPIRED for an identity (see card/identity.py)."""
    earliest_s, latest_s = clock.seconds(interval_ms)
    from_day = clock.day(earliest_s, policy["utc_offset_s"])
    to_day = clock.day(latest_s, policy["utc_offset_s"])
    if not clock.is_known(interval_ms, policy["clock_width_max_ms"]):
        from_day, to_day = to_day, from_day
    if from_day < identity.valid_from:
        return reasons.NOT_YET_VALID
    return reasons.EXPIRED if to_day > identity.valid_to else reasons.APPROVED


def decide(identity, status, interval_ms, policy):
    """reasons.APPROVED, or why this card is not served; `status` as in card_status.py.

    For readers that take no money and open nothing; an unknown clock refuses nobody.
    """
    if status:
        return reasons.CARD_LOST - LOST + status
    if identity.kind not in (STAFF, STUDENT, TEMPORARY):
        return reasons.KIND_NOT_SERVED
    return reason(identity, interval_ms, policy)
