"""What the commands of `onecard device` do: an order, and the boards that it is carried out on."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters import secret_files
from adapters.secret_files import SecretFileError
from ledger.release_file import BadRelease, Release
from protocols.rules.spending import POLICY_FIELDS
from tools.device import batch, bundle, ports, registered
from tools.device import provision as provisioning
from tools.device.boards import BOARDS, PROGRAMS
from tools.device.errors import DeviceError
from tools.device.flash import flash as flash_board
from tools.device.log import Log
from tools.device.registered import Registered
from tools.firmware import release
from tools.keys import site_kit

_BLOB_BYTES_MAX = 1984
# Two boards with one number are two chains of one reader: the ledger books nothing of the second.
_USED = (
    "{} was board {} until now: if that one has ever been in use, retire the number and take a"
    " free one, or all that this board tells waits in suspense"
)
_PROGRAM = ("program", "version", "program_digest")
_IDENTITY = ("settings", *provisioning.STORED)


class BadOrder(Exception):
    """What was asked for does not fit together."""


@dataclass(frozen=True)
class Order:
    """What readers are to be; `stored` (NVS name -> bytes) may hold a key: no `repr` shows it.

    `release` is what they run, for whoever puts a program; `register` are files of the ledger's
    register, by which numbers are looked at.
    """

    role: str
    kit: Path
    settings: Path
    stored: Mapping[str, bytes] = field(repr=False)
    release: Release | None = None
    register: Sequence[Path] = ()

    def register_has(self, known: Mapping[int, Registered], device: int) -> bool:
        """Whether the ledger's register has this number. DeviceError, KeysError."""
        return registered.check(known, site_kit.read(self.kit), device)

    def identity(self, device: int) -> provisioning.Identity:
        """The reader with this number. BadSettings, KeysError."""
        kit = site_kit.read(self.kit)
        return provisioning.identity(kit, device, self.role, self.settings, self.stored)


def program_of(role: str, link: str, codes: bool) -> str:
    """The program in firmware/ for a role on a link. BadOrder."""
    found = PROGRAMS.get((role, link, codes))
    if found is None:
        there = sorted({of for kind, of, _ in PROGRAMS if kind == role})
        scanner = " with a scanner" if codes else ""
        raise BadOrder(
            f"{role}{scanner} on {link}: no program; {role} hangs on {', '.join(there)}"
        )
    return found


def signed(file: Path, keys: list[Path], needed: int, role: str) -> Release:
    """The release in `file`, for readers of `role`, signed by so many of the keys. BadRelease."""
    found = release.read(file)
    signers = found.signers(release.public_keys(keys))
    if needed < 1 or signers < needed:
        raise BadRelease(f"{file} is signed by {signers} of these keys; {needed} have to")
    if role not in found.roles:
        raise BadRelease(f"{file} is {found.name}, for {', '.join(found.roles)} and not {role}")
    if bundle.MAIN not in found.files:
        raise BadRelease(f"{file} has no {bundle.MAIN}: a board would have nothing to run")
    return found


def stored(tls: Path | None, words: list[str]) -> dict[str, bytes]:
    """Further blobs, by name: of the folder of a certificate, and NAME=FILE. BadOrder, OSError.

    A key that others may read is not taken.
    """
    found = {}
    if tls is not None:
        names = [name for name in provisioning.TLS_BLOBS if (tls / name).exists()]
        if not {"tls_key", "tls_cert", "tls_ca1"} <= set(names):
            raise BadOrder(f"{tls}: not what `onecard ca issue` makes for a reader")
        found = {name: _blob(name, tls / name) for name in names}
    for word in words:
        name, _, file = word.partition("=")
        if name not in provisioning.STORED or not file:
            raise BadOrder(f"{word}: NAME=FILE, NAME of {', '.join(provisioning.STORED)}")
        found[name] = _blob(name, Path(file)).rstrip(b"\n")
    for name, data in found.items():
        if len(data) > _BLOB_BYTES_MAX:
            raise BadOrder(f"{name}: {len(data)} bytes; a blob has {_BLOB_BYTES_MAX} at most")
    return found


def _blob(name: str, path: Path) -> bytes:
    if name not in provisioning.SECRETS:
        return path.read_bytes()
    try:
        return secret_files.read(path)
    except SecretFileError as error:
        raise BadOrder(str(error)) from None


def chosen(file: Path | None, port: str, device: int) -> list[batch.Job]:
    """The boards: of a list, or the one that was named. BadBatch, BadOrder, OSError."""
    if file is not None and not port and not device:
        return batch.read(file)
    if file is None and port and device:
        return [batch.Job(port, device)]
    raise BadOrder("either --batch, or --port and --device")


def flash(url: str, board: str, base: Path, *, lose_journal: bool) -> None:
    """Put MicroPython and our partition table on a board. BadImage, DeviceError."""
    with ports.opened(url) as port:
        flash_board(port, BOARDS[board], base, lose_journal=lose_journal)


def provision(
    order: Order,
    jobs: list[batch.Job],
    logs: tuple[Path, Sequence[Path]],
    flashing: tuple[str, Path] | None,
    flags: Mapping[str, bool],
    say: Callable[[str], None],
    at_once: int,
) -> batch.Result:
    """Make readers of boards; what is done is left alone, what fails is told.

    `logs`: that of this station, and copies of those of others.
    """
    # All of them before the first: a wrong setting must not be found out at the hundredth board.
    people = {job.device: order.identity(job.device) for job in jobs}
    site = next(iter(people.values())).site
    known = registered.read(order.register)
    for job in jobs:
        if not order.register_has(known, job.device) and order.register:
            say(f"{site}/{job.device} is not in the register: until it is, nothing of it is taken")
    assert order.release is not None
    with tempfile.TemporaryDirectory(prefix="onecard-program-") as folder, Log(*logs) as log:
        made = bundle.of_release(order.release, Path(folder) / "files")

        def sameness(job: batch.Job) -> dict[str, str]:
            digests = provisioning.digests_of(people[job.device].blobs)
            return {"program_digest": made.digest, "blobs_digest": _digest_of(digests)}

        def act(job: batch.Job) -> dict[str, Any] | None:
            who = people[job.device]
            with ports.opened(job.port) as port:
                facts = _looked_at(port, flashing)
                before = log.done(site, job.device)
                if before and before["mac"] == facts["mac"]:
                    if batch.is_done(log, site, job.device, sameness(job)):
                        return None
                goes = provisioning.check(facts, who, made, lose_journal=flags["lose_journal"])
                had = log.begin(site, job.device, facts["mac"], replace=flags["replace"])
                if had:
                    say(_USED.format(f"{site}/{job.device}", had))
                provisioning.provision(port, facts, who, made, erase_journal=goes)
            row = {"site": site, "device": job.device, "mac": facts["mac"], "role": who.role}
            row |= {"program": made.program, "version": made.version}
            return {**row, "at_s": int(time.time())}

        words = jobs, log, site, sameness, act, say, at_once
        return batch.run(*words, looks_at_all=flags["replace"])


def apply(order: Order, url: str, log_file: Path) -> str:
    """Give a reader its settings anew, and write that down; its site and number. DeviceError."""
    with Log(log_file) as log, ports.opened(url) as port:
        facts = provisioning.inspect(port)
        if facts["settings"] is None:
            raise DeviceError(13, url)
        who = order.identity(facts["settings"]["device"])
        order.register_has(registered.read(order.register), who.device)
        provisioning.must_erase(facts, who, lose_journal=False)
        before = log.done(who.site, who.device)
        log.begin(who.site, who.device, facts["mac"])
        provisioning.apply(port, facts, who)
        log.add(_applied(before, facts, who))
    return f"{who.site}/{who.device}"


def _applied(
    before: Mapping[str, Any] | None, facts: Mapping[str, Any], who: provisioning.Identity
) -> dict[str, Any]:
    """The line of a reader that has other settings now; its program is the one that it had."""
    row = {"site": who.site, "device": who.device, "mac": facts["mac"], "role": who.role}
    row |= {name: before[name] for name in _PROGRAM if before and name in before}
    held = {name: digest for name, digest in facts["blobs"].items() if name in _IDENTITY}
    digests = {**held, **provisioning.digests_of(who.blobs)}
    return {**row, "blobs_digest": _digest_of(digests), "at_s": int(time.time())}


def _digest_of(digests: Mapping[str, str]) -> str:
    """Of all blobs together: one alone, as a Wi-Fi password, could be guessed by its digest."""
    lines = [f"{name}={digests[name]}" for name in sorted(digests)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def shown(url: str, kit: Path | None) -> dict[str, Any]:
    """Who a reader is, by name, without keys. DeviceError, KeysError."""
    with ports.opened(url) as port:
        facts = provisioning.inspect(port)
    own = facts["settings"]
    if own is None:
        raise DeviceError(13, url)
    manifest = facts["manifest"] or {}
    told = {"mac": facts["mac"], "micropython": ".".join(map(str, facts["version"]))}
    told |= {"program": manifest.get("program"), "version": manifest.get("version")}
    for name, value in own.items():
        is_key = isinstance(value, dict)
        told[name] = f"set, check value {value['check']}" if is_key else value
    told["policy"] = dict(zip(POLICY_FIELDS, own["policy"], strict=False))
    told["stored"] = sorted(facts["blobs"])
    told["journal_sectors"] = facts["journal_sectors"]
    if kit is not None:
        told["key_of_this_kit"] = provisioning.has_key_of(facts, site_kit.read(kit))
    return told


def examined(url: str, kit: Path | None) -> list[tuple[bool, str]]:
    """What was looked at, and whether it is in order; what cannot be looked at ends it."""
    found: list[tuple[bool, str]] = []
    try:
        with ports.opened(url) as port:
            facts = provisioning.inspect(port)
    except DeviceError as error:
        return [(False, str(error))]
    found.append((True, f"answers: board {facts['mac']}, MicroPython {_dotted(facts)}"))
    found += _examined_parts(facts)
    if kit is not None and facts["settings"]:
        which = provisioning.has_key_of(facts, site_kit.read(kit))
        found.append((which == "this one", f"its key, by this kit: {which}"))
    return found


def _examined_parts(facts: Mapping[str, Any]) -> list[tuple[bool, str]]:
    missing = [name for name in ("journal", "cards", "vfs") if name not in facts["partitions"]]
    found = [
        (not missing, str(DeviceError(9, ", ".join(missing))) if missing else "its partitions")
    ]
    own = facts["settings"]
    if own is None:
        return [*found, (False, str(DeviceError(13, "settings")))]
    found.append((True, f"it is reader {own['device']} of {own['site']}"))
    manifest = facts["manifest"]
    wanted = (manifest or {}).get("files", {})
    torn = [name for name, digest in wanted.items() if facts["files"].get(name) != digest]
    if not wanted or torn:
        found.append((False, str(DeviceError(14, ", ".join(torn) or "no program"))))
    else:
        found.append((True, f"its program {manifest['program']} {manifest['version']} is whole"))
    return found


def _looked_at(port: str, flashing: tuple[str, Path] | None) -> dict[str, Any]:
    """What the board says; one that is bare or of another division is flashed first."""
    mac = ""
    try:
        facts = provisioning.inspect(port)
        if flashing is None or "journal" in facts["partitions"]:
            return facts
        mac = facts["mac"]
    except DeviceError as error:
        if flashing is None or error.cause not in (4, 5, 6, 8):
            raise
    name, base = flashing or ("", Path())
    mac = flash_board(port, BOARDS[name], base, lose_journal=False, mac=mac)
    facts = provisioning.inspect(port)
    if facts["mac"] != mac:
        raise DeviceError(19, f"{facts['mac']} in the place of {mac}")
    return facts


def _dotted(facts: Mapping[str, Any]) -> str:
    return ".".join(map(str, facts["version"]))
