"""What each merchant sells where: menus for POS, every change in its order, and who made it.

Rules of this file. A menu is for all POS of a merchant, or for those at one site; of the changes
that are for a POS the newest counts, and its number is the epoch. Only what a POS would take is
kept (protocols/rules/menu.py), and nothing is taken back: what comes later counts. Agents keep the
menus of their POS; each POS has a warrant of its own, under the key that its newest record has.
A POS that moved to a site or merchant whose menu is older than what it has keeps its own until
somebody sets that menu anew.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ledger.dialect import Dialect
from ledger.retirement import IN_USE
from ledger.signatures import signed
from protocols.rules import menu
from protocols.wire import seal, topics
from protocols.wire.errors import WireError

PERSON_CHARS_MAX = 32
_NEWEST = (
    "SELECT c.number, c.menu FROM menu_change c JOIN device d ON d.merchant_no = c.merchant_no"
    " WHERE d.device = ? AND c.site IN (d.site, '') ORDER BY c.number DESC LIMIT 1"
)
_OF_SITE = (
    "SELECT d.device, c.number, c.menu, k.device_key FROM device d"
    " JOIN device_key k ON k.device = d.device AND k.key_no = d.head_key_no"
    " JOIN menu_change c ON c.number = (SELECT MAX(m.number) FROM menu_change m"
    " WHERE m.merchant_no = d.merchant_no AND m.site IN (d.site, ''))"
    f" WHERE d.site = ? AND {IN_USE} ORDER BY d.device"
)
_CHANGES = (
    "SELECT number, merchant_no, site, menu, person, time_s FROM menu_change ORDER BY number"
)


class MenuRefused(Exception):
    """Nothing was changed, and the text says why."""


@dataclass(frozen=True, slots=True)
class MenuChange:
    """One change; `site` is "" where it is for all POS of the merchant."""

    number: int
    merchant_no: int
    site: str
    menu: bytes
    person: str
    time_s: int


class MenuBook:
    """The menus. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def set_menu(self, merchant_no: int, site: str, data: bytes, person: str, time_s: int) -> int:
        """From now on that is the menu there; the epoch. The same as the last one: no change."""
        if not 0 < len(person) <= PERSON_CHARS_MAX or not person.isprintable():
            raise MenuRefused(f"a person has a name of 1 to {PERSON_CHARS_MAX} characters")
        if site and not topics.is_site(site):
            raise MenuRefused(f"{site!r} is no site")
        try:
            menu.decode(data or b"\x00")  # no bytes are no menu: none at all says nothing
        except WireError as error:
            raise MenuRefused(f"no POS would take that: {error}") from None
        with self._database.transaction():
            about = f"merchant {merchant_no}"
            person = signed(self._database, "menu.set", person, time_s, about)
            sql = "SELECT 1 FROM merchant WHERE merchant_no = ?"
            if not list(self._database.rows(sql, (merchant_no,))):
                raise MenuRefused(f"merchant {merchant_no} was never registered")
            changes = self.changes()
            last = next((one for one in changes[::-1] if one.merchant_no == merchant_no), None)
            if last is not None and (last.site, last.menu) == (site, data):
                return last.number
            number = len(changes) + 1
            row = (number, merchant_no, site, data, person, time_s)
            self._database.many("INSERT INTO menu_change VALUES (?, ?, ?, ?, ?, ?)", [row])
            return number

    def changes(self) -> list[MenuChange]:
        """Every change, in order."""
        return [MenuChange(*row) for row in self._database.rows(_CHANGES)]

    def newest(self, device: int) -> tuple[int, bytes]:
        """(epoch, menu) of a POS; (0, b"") if nobody has set one for it."""
        for number, data in self._database.rows(_NEWEST, (device,)):
            return number, data
        return 0, b""

    def sealed(self, site: str) -> Iterator[tuple[int, int, bytes, bytes]]:
        """(device, epoch, digest, warrant) of each POS at a site that there is a menu for."""
        for device, number, data, key in self._database.rows(_OF_SITE, (site,)):
            digest = menu.digest_of(bytes(data))
            body = struct.pack(menu.WARRANT, number, len(data), digest)
            label = menu.LABEL
            yield device, number, digest, seal.seal(seal.derive(bytes(key), label), body, label)

    def of_digest(self, digest: bytes, site: str) -> bytes:
        """The menu with this digest that POS at a site shall have; empty if there is none."""
        menus = {bytes(data) for _, _, data, _ in self._database.rows(_OF_SITE, (site,))}
        return next((data for data in menus if menu.digest_of(data) == digest), b"")
