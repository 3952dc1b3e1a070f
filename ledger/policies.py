"""The limits of readers in the books: which policy each shall have, every change, and who made it.

Rules of this file. A policy is set for one reader, or for all at a site that have a line; each has
an epoch of its own, above whatever that reader was ever given or has said that it has. Behind a
restore it is far above: the reader may have been given more than these books know. Only what a
reader would take is kept, whole (protocols/rules/settings.py), and nothing is taken back: what
comes later counts. Each is sealed for its reader, under the key that its newest record has.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ledger.dialect import Dialect
from ledger.retirement import IN_USE
from ledger.signatures import signed
from protocols.rules import settings
from protocols.rules.spending import POLICY_FIELDS
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

PERSON_CHARS_MAX = 32
_EPOCH_MAX = 0xFFFFFFFF
# The ledger counts up from 1. What a cable made larger than this lifts nobody else's.
_LIFTED_MAX = 0x7FFFFFFF
_NEWEST = (
    "SELECT p.device, d.site, p.epoch, p.policy, p.person, p.time_s, k.device_key"
    " FROM policy_change p JOIN device d ON d.device = p.device"
    " JOIN device_key k ON k.device = d.device AND k.key_no = d.head_key_no"
    " WHERE p.epoch = (SELECT MAX(epoch) FROM policy_change WHERE device = p.device)"
    f" AND {IN_USE}"
    " ORDER BY p.device"
)
_READERS = (
    "SELECT d.device, d.site FROM device d WHERE d.device NOT IN (SELECT device FROM lock)"
    f" AND {IN_USE} ORDER BY d.device"
)
# As the index of policy_schema.py has them: nothing else of a year's records is read.
_BOOTS = "SELECT device, sealed FROM record WHERE kind = 1 ORDER BY (device + 0), (seq + 0)"


_USED = "used epochs of policies"
_USED_EPOCH = f"SELECT COALESCE(MAX(total), 0) FROM tally WHERE name = '{_USED}'"
_USE = "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET total = excluded.total"


class PolicyRefused(Exception):
    """Nothing was changed, and the text says why."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What one reader shall have; `policy` maps POLICY_FIELDS to numbers."""

    device: int
    site: str
    epoch: int
    policy: Mapping[str, int]
    person: str
    time_s: int


class PolicyBook:
    """The policies. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def set_policy(
        self,
        policy: Mapping[str, int],
        person: str,
        time_s: int,
        *,
        device: int = 0,
        site: str = "",
    ) -> list[tuple[int, int]]:
        """From now on that is the policy of a reader, or of all at a site; (device, epoch).

        `policy` has POLICY_FIELDS without the epoch. The same as the newest one: no change, and
        that one's epoch. PolicyRefused.
        """
        if not 0 < len(person) <= PERSON_CHARS_MAX or not person.isprintable():
            raise PolicyRefused(f"a person has a name of 1 to {PERSON_CHARS_MAX} characters")
        if bool(device) == bool(site):
            raise PolicyRefused("of one reader, or of one site")
        said = self.said()
        with self._database.transaction():
            about = f"reader {device}" if device else site
            person = signed(self._database, "policy.set", person, time_s, about)
            readers = list(self._database.rows(_READERS))
            chosen = [one for one, at in readers if device == one or (site and site == at)]
            if not chosen:
                where = f"reader {device}" if device else f"{site!r}: no reader there"
                raise PolicyRefused(f"{where} was never registered, or is a lock without a line")
            newest = {one.device: one for one in self.newest()}
            ((used,),) = self._database.rows(_USED_EPOCH)
            found, rows = [], []
            for one in chosen:
                last = newest.get(one)
                epoch = max(last.epoch if last else 0, said.get(one, 0), used)
                if last is None or last.epoch < epoch or last.policy != {**policy, "epoch": epoch}:
                    epoch += 1
                    rows.append((one, epoch, _encoded(policy, epoch), person, time_s))
                found.append((one, epoch))
            self._database.many("INSERT INTO policy_change VALUES (?, ?, ?, ?, ?)", rows)
        return found

    def newest(self) -> list[Policy]:
        """What each reader shall have for which one was ever set, by device."""
        return [
            Policy(device, site, epoch, settings.decode_policy(bytes(data)), person, time_s)
            for device, site, epoch, data, person, time_s, _ in self._database.rows(_NEWEST)
        ]

    def use_epochs(self, count: int) -> None:
        """No new policy gets one of the `count` epochs above those known; in a transaction."""
        ((used,),) = self._database.rows(_USED_EPOCH)
        known = [one.epoch for one in self.newest()] + list(self.said().values())
        last = max([used, *(epoch for epoch in known if epoch <= _LIFTED_MAX)])
        self._database.many(_USE, [(_USED, last + count)])

    def said(self) -> dict[int, int]:
        """The epoch that each reader has in force, as its newest BOOT says; 0: it did not say."""
        return {device: _said(bytes(sealed)) for device, sealed in self._database.rows(_BOOTS)}

    def sealed(self, site: str) -> Iterator[tuple[int, int, bytes]]:
        """(device, epoch, sealed) of each reader at a site for which one was ever set."""
        label = settings.POLICY_LABEL
        for device, at, epoch, data, _, _, key in self._database.rows(_NEWEST):
            if at == site:
                yield device, epoch, seal.seal(seal.derive(bytes(key), label), bytes(data), label)


def _said(sealed: bytes) -> int:
    try:
        fields = messages.decode_record(seal.payload_of(sealed))
    except WireError:
        return 0  # of a firmware that is newer than this ledger
    epoch: int = fields.get("policy_epoch", 0)
    return epoch


def _encoded(policy: Mapping[str, int], epoch: int) -> bytes:
    unknown = sorted(set(policy) - set(POLICY_FIELDS))
    if unknown or "epoch" in policy or epoch > _EPOCH_MAX:
        raise PolicyRefused(f"{unknown[0] if unknown else 'epoch'}: the books do not take that")
    try:
        return settings.encode_policy({**policy, "epoch": epoch})
    except WireError as error:
        raise PolicyRefused(f"no reader would take that: {error}") from None
