"""One card for two locks, end to end: door, agent and ledger of a building, and no handheld."""

import pytest

from ledger.lock_mail import LockState
from protocols.rules import reasons
from protocols.wire import messages
from simulator.residence.building import SECOND_US, SITE
from simulator.residence.people import People
from simulator.residence.play import built, open_up
from simulator.residence.rights import Rights
from simulator.residence.rooms import Rooms

MINUTE_US = 60 * SECOND_US
SEED = 3
BEGINS_S = 9 * 3600


@pytest.mark.parametrize("chip", ["classic", "desfire"])
def test_one_card_brings_two_locks_their_rights_and_both_their_events_back(chip):
    """The second's events wait on the lock until the first's are off the card (ADR 31)."""
    with built(SEED, 1, BEGINS_S, locks=2) as building:
        people = People(building, Rights(building))
        rooms, house, (one, other) = Rooms(building, people), building.doors[0], building.rooms
        person = next(
            each
            for each in people.residents
            if each.card.name.startswith(chip) and len(rooms.rooms_of[each.card.card_no]) == 2
        )
        open_up(building)
        plan = [
            (8, lambda: people.tap(house, person)),
            (9, lambda: rooms.enter(one, person)),
            (10, lambda: rooms.enter(other, person)),
            (11, lambda: people.tap(house, person)),
            (12, lambda: rooms.enter(one, person)),  # its first entry goes with the second
            (13, lambda: rooms.enter(other, person)),
            (14, lambda: people.tap(house, person)),
            (15, lambda: rooms.enter(other, person)),
            (16, lambda: people.tap(house, person)),
        ]
        for minute, act in plan:
            building.world.at(minute * MINUTE_US, act)
        building.run_until(12 * MINUTE_US - SECOND_US)
        booked = building.books.heads()
        assert booked[one.device] and not booked.get(other.device, 0)
        building.run_until(18 * MINUTE_US)
        assert building.violations == []
        for room in (one, other):
            entries = room.entries(0, building.world.now_us)
            assert {each.fields["reason"] for each in entries} == {reasons.APPROVED}
            assert building.books.heads()[room.device] >= entries[0].seq, room.name
        states: list[LockState] = building.books.lock_mail.states(SITE)
        assert [state.is_confirmed for state in states] == [True, True]
        kinds = [kind for (kind,) in building.books.database.rows("SELECT kind FROM record")]
        assert kinds.count(messages.MAIL) == 3
