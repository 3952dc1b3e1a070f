"""How far a jump goes: so many seconds, past the end of the day, or until a card has expired.

Whoever asks for one wants to see what holds behind it, so it ends a minute past midnight.
"""

from simulator.desk.verbs import Refused
from simulator.run import Run

DAY_END, EXPIRY = "day-end", "expiry"
_DAY_S = 86_400
_LONGEST_S = 366 * _DAY_S
_BEHIND_S = 60


def over_s(run: Run, wanted: object) -> int:
    """The seconds of a jump of now. Refused says why there is none."""
    if wanted == DAY_END:
        return _past_s(run, 0)
    if wanted == EXPIRY:
        return _expired_s(run)
    if type(wanted) is int and 0 < wanted <= _LONGEST_S:
        return wanted
    raise Refused("no such jump")


def _expired_s(run: Run) -> int:
    """Until the card that ends next, of those that the card centre has issued, is out of date."""
    today = _local_s(run) // _DAY_S
    ours = (held.identity for held in run.cards if held.issued_fen is not None)
    last = min((one.valid_to for one in ours if one and one.valid_to >= today), default=None)
    far_s = _LONGEST_S + 1 if last is None else _past_s(run, last - today)
    if far_s > _LONGEST_S:
        raise Refused("no card of the wallet expires within a year")
    return far_s


def _past_s(run: Run, days: int) -> int:
    """Until just past the end of today, or of so many days behind it."""
    return (days + 1) * _DAY_S - _local_s(run) % _DAY_S + _BEHIND_S


def _local_s(run: Run) -> int:
    return run.world.utc_s() + run.scenario.policy["utc_offset_s"]
