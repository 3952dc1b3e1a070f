"""Firmware in the books: images that were signed, and which share of the readers has which.

Rules of this file. An image is kept only with enough signatures of release keys, and never
changed. A stage names an image, a share of the readers, and hours; for each main program and site
the newest stage counts that names this site or all of them, no share is a halt. The share is of
all readers: which program one runs the books do not know, and who runs another takes nothing.
Which readers those are is decided by a hash of version and
device: the same every time, others with the next version, and whoever has it at one percent has it
at five. Doors and locks are not among them (docs/adr/0040-firmware-updates.md).
"""

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from zlib import crc32

from ledger.dialect import Dialect
from ledger.release_file import BadRelease, Release
from ledger.retirement import IN_USE
from ledger.signatures import signed
from protocols.wire import firmware_news, messages, seal, topics

PERSON_CHARS_MAX = 32
_READERS = (
    "SELECT d.device, d.site, k.device_key FROM device d JOIN device_key k"
    " ON k.device = d.device AND k.key_no = d.head_key_no"
    f" WHERE d.device NOT IN (SELECT device FROM door) AND {IN_USE} ORDER BY d.device"
)
_STAGES = (
    "SELECT s.number, i.name, i.program, i.version, i.after, length(i.image), s.digest, s.percent,"
    " s.site, s.from_min, s.until_min, s.is_forced, s.person, s.time_s"
    " FROM firmware_stage s JOIN firmware_image i ON i.digest = s.digest ORDER BY s.number"
)
_RECORDS = "SELECT device, sealed FROM record WHERE kind = ? ORDER BY device, seq"


@dataclass(frozen=True, slots=True)
class Stage:
    """Which share of the readers, of all sites if `site` is "", shall have an image, and when."""

    number: int
    name: str
    program: int
    version: int
    after: int
    size: int
    digest: bytes
    percent: int
    site: str
    from_min: int
    until_min: int
    is_forced: int  # 1: at any hour
    person: str
    time_s: int


class FirmwareBook:
    """Images and stages. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def set_stage(
        self,
        release: Release,
        trusted: Collection[bytes],
        needed: int,
        percent: int,
        person: str,
        time_s: int,
        *,
        site: str = "",
        minutes: tuple[int, int] = (0, 0),
        is_forced: bool = False,
    ) -> int:
        """From now on that share of the readers shall have it; the number. BadRelease: no change.

        `minutes` of a UTC day between which it may begin; `trusted` public keys of releases, of
        which `needed` have signed it.
        """
        if needed < 1 or release.signers(trusted) < needed:
            found = release.signers(trusted)
            raise BadRelease(f"signed by {found} of the release keys; {needed} have to")
        if not 0 < len(person) <= PERSON_CHARS_MAX or not person.isprintable():
            raise BadRelease(f"a person has a name of 1 to {PERSON_CHARS_MAX} characters")
        if not release.image:
            raise BadRelease(f"{release.name} is put by cable only")
        if site and not topics.is_site(site):
            raise BadRelease(f"{site!r} is no site")
        if not 0 <= percent <= 100:
            raise BadRelease("a share is 0 to 100 percent")
        program = crc32(release.name.encode())
        with self._database.transaction():
            what = f"{percent} % {site}".strip(), release.digest.hex()
            person = signed(self._database, "firmware.stage", person, time_s, *what)
            self._keep(release, program)
            number = len(self.stages()) + 1
            row = (number, release.digest, percent, site, *minutes, int(is_forced), person, time_s)
            sql = "INSERT INTO firmware_stage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            self._database.many(sql, [row])
            return number

    def stages(self) -> list[Stage]:
        """Every stage, in order."""
        return [Stage(*row) for row in self._database.rows(_STAGES)]

    def current(self) -> list[Stage]:
        """Of each program and site the stage that counts, if it gives anything to anybody."""
        newest: dict[tuple[int, str], Stage] = {}
        for stage in self.stages():
            if not stage.site:  # it ends those of single sites too
                newest = {key: one for key, one in newest.items() if key[0] != stage.program}
            newest[stage.program, stage.site] = stage
        return [stage for stage in newest.values() if stage.percent]

    def chosen(self, stage: Stage) -> list[tuple[int, str, bytes]]:
        """(device, site, key) of the readers that a stage is for; of any share at least one.

        Readers of a site that has had a stage of its own since are not among those of all sites.
        """
        readers: list[tuple[int, str, bytes]] = list(self._database.rows(_READERS))
        if stage.site:
            readers = [reader for reader in readers if reader[1] == stage.site]
        else:
            later = self.stages()[stage.number :]
            own = {one.site for one in later if one.program == stage.program}
            readers = [reader for reader in readers if reader[1] not in own]
        readers.sort(key=lambda reader: _place(stage.version, reader[0]))
        return readers[: -(-len(readers) * stage.percent // 100)]

    def page(self, digest: bytes, page: int) -> bytes:
        """A page of an image; nothing where there is none."""
        at = page * firmware_news.PAGE_BYTES
        sql = "SELECT image FROM firmware_image WHERE digest = ?"
        for (image,) in self._database.rows(sql, (digest,)):
            return bytes(image[at : at + firmware_news.PAGE_BYTES])
        return b""

    def versions(self) -> dict[int, int]:
        """What each reader has said at its last boot that it runs."""
        return {
            device: messages.decode_record(seal.payload_of(bytes(sealed)))["firmware"]
            for device, sealed in self._database.rows(_RECORDS, (messages.BOOT,))
        }

    def failures(self) -> list[tuple[int, int, int]]:
        """(device, version, reason) of what each reader has told last of an update that failed."""
        found: dict[int, tuple[int, int, int]] = {}
        for device, sealed in self._database.rows(_RECORDS, (messages.UPDATE,)):
            fields = messages.decode_record(seal.payload_of(bytes(sealed)))
            found[device] = device, fields["version"], fields["reason"]
        return list(found.values())

    def _keep(self, release: Release, program: int) -> None:
        sql = "SELECT digest, program, version, after FROM firmware_image"
        sql += " WHERE digest = ? OR (program = ? AND version = ?)"
        what = release.digest, program, release.version
        for digest, *other in self._database.rows(sql, what):
            if (bytes(digest), *other) != (*what, release.after):
                raise BadRelease(
                    f"{release.name} {release.version} after {release.after}:"
                    " there is another such already"
                )
            return
        row = (release.digest, program, release.name, release.version, release.after)
        sql = "INSERT INTO firmware_image VALUES (?, ?, ?, ?, ?, ?)"
        self._database.many(sql, [(*row, release.image)])


def _place(version: int, device: int) -> bytes:
    return sha256(struct.pack(">II", version, device)).digest()


def behind(stage: Stage, readers: Sequence[tuple[int, str, bytes]], runs: dict[int, int]) -> int:
    """How many of the readers of a stage do not run its version yet, of other programs too."""
    return sum(runs.get(device, 0) < stage.version for device, _, _ in readers)
