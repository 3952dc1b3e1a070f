"""Who may enter a room: a second opinion, made of orders and of what its lock can have heard.

The orders are those of rights.py. A lock goes by a map as young as what has surely come, or by
anything younger that may have; the handheld has told it of lost cards too, a letter leaves them
out.
"""

from __future__ import annotations

from simulator.residence.building import UTC_OFFSET_S
from simulator.residence.heard import Heard, Known
from simulator.residence.rights import ALWAYS, Holder, Rights, Version, holds

_DAY_S = 86_400
_WRITTEN_S = 5  # from the look at the books to the time in a letter, either way


class RoomRights:
    """Who may enter rooms, by the orders of `rights` and by what their locks can have heard."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self._world = rights.world

    def handheld_was_there(self, device: int, heard: Heard, known_us: int, is_sure: bool) -> None:
        """A handheld that knew all that the ledger had said until `known_us` was at a lock."""
        now_us = self._world.now_us
        from_s, to_s = self._world.utc_s(known_us), self._world.utc_s(now_us)
        for version in self._between(device, known_us, now_us):
            heard.may(Known(version.epoch, from_s, to_s, False))
        since_us = known_us
        if is_sure:
            heard.surely(from_s)
        elif heard.cards_us is not None:
            since_us = min(known_us, heard.cards_us[0])
        else:
            since_us = -1
        heard.cards_us = (since_us, now_us)

    def outcomes(
        self,
        device: int,
        heard: Heard,
        holder: Holder,
        doubt_s: int | None,
        cards: list[Known],
    ) -> set[bool]:
        """Whether a card may open, by all that may hold now, `cards` being letters on it.

        `doubt_s`: by how much the lock's clock may be wrong; None: it may know no time.
        """
        found: set[bool] = set()
        by_map = self._by_card_map(heard, holder.card_no)
        maps = [*heard.maps, *(one for one in cards if one.to_s >= heard.surely_s)]
        for known in maps:
            version = self._version(device, known.epoch)
            statuses = {"active"}
            if known.is_letter:
                statuses = self._statuses(holder.card_no, known.from_s, known.to_s)
            group = version.groups.get(holder.card_no, 0)
            for is_active in {one == other == "active" for one in statuses for other in by_map}:
                if not group or not is_active:
                    found.add(False)
                else:
                    found |= self._by_time(version, group, holder, doubt_s)
        return found

    def _by_time(
        self, version: Version, group: int, holder: Holder, doubt_s: int | None
    ) -> set[bool]:
        local_s = self._world.utc_s() + UTC_OFFSET_S
        periods = version.hours.get(group, ())
        if doubt_s is None:
            is_valid = holder.first_day <= local_s // _DAY_S <= holder.last_day
            return {True} if periods == ALWAYS and is_valid else {True, False}
        found = set()
        for moment_s in (local_s - doubt_s, local_s, local_s + doubt_s):
            is_valid = holder.first_day <= moment_s // _DAY_S <= holder.last_day
            found.add(is_valid and holds(periods, moment_s))
        return found

    def _by_card_map(self, heard: Heard, card_no: int) -> set[str]:
        if heard.cards_us is None:
            return {"active"}
        return self._rights.statuses_between(card_no, *heard.cards_us)

    def _statuses(self, card_no: int, from_s: int, to_s: int) -> set[str]:
        start_s = self._world.start_utc_s
        from_us = (from_s - _WRITTEN_S - start_s) * 1_000_000
        to_us = (to_s + _WRITTEN_S - start_s) * 1_000_000
        return self._rights.statuses_between(card_no, from_us, to_us)

    def _version(self, device: int, epoch: int) -> Version:
        rows = self._rights.all_versions(device)
        return next(each for each in reversed(rows) if each.epoch <= epoch)

    def _between(self, device: int, from_us: int, to_us: int) -> list[Version]:
        """The versions that held at some time from `from_us` to `to_us`."""
        rows = self._rights.all_versions(device)
        first = max((at for at, each in enumerate(rows) if each.time_us <= from_us), default=0)
        return [each for each in rows[first:] if each.time_us <= to_us]
