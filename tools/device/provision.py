"""A board with a base image becomes a reader: its program, who it is, its keys; all read back.

In this order, so that a cut at any point leaves a board that runs nothing and can be provisioned
again: what runs is taken away, files and image are put, settings stored, all of it is compared,
and only then does the program get its name.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.rules import settings, slots
from tools import reader_settings
from tools.device import processes
from tools.device.boards import CHIPS, MICROPYTHON_MIN, READS
from tools.device.bundle import Bundle
from tools.device.errors import DeviceError
from tools.keys import derive
from tools.keys.site_kit import SiteKit

TLS_BLOBS = ("tls_key", "tls_cert", "tls_ca1", "tls_ca2")
# What a reader may have in NVS besides; the firmware's boards say what for.
STORED = ("wifi_ssid", "wifi_key", "serial_baud", "menu", "aggregate", "desk_format", *TLS_BLOBS)
SECRETS = ("wifi_key", "tls_key")  # of those: their files are for nobody else
BLOBS = ("settings", "slots", *STORED)
_PARTITIONS = ("journal", "cards", "romfs", "vfs")
_NAMES = {key: name for key, name, _, _ in settings.FIELDS}


class NoReadKey(Exception):
    """A kit for readers that take money has no read key, and this role needs one."""


@dataclass(frozen=True)
class Identity:
    """Who a reader is to be. `blobs` (NVS name -> bytes) has its settings; no `repr` shows it."""

    device: int
    site: str
    role: str
    blobs: Mapping[str, bytes] = field(repr=False)


def identity(
    kit: SiteKit, device: int, role: str, file: Path, stored: Mapping[str, bytes]
) -> Identity:
    """A reader of the kit's site with the settings of `file`. BadSettings, NoReadKey."""
    keys = {**kit.card, **kit.device_keys(device)}
    if role in READS and "read_key" not in keys:
        raise NoReadKey(f"{role}: this kit has no read_key; onecard keys export site --part reads")
    if role not in READS:
        keys.pop("read_key", None)
    given = {"device": device, "site": kit.site, **keys}
    blobs = {"settings": reader_settings.read(file, given=given), **stored}
    return Identity(device, kit.site, role, blobs)


def inspect(port: str) -> dict[str, Any]:
    """What a board says about itself, its settings by name and without keys. DeviceError."""
    processes.probe(port)
    facts = processes.call(port, "inspect", list(BLOBS))
    if tuple(facts["version"]) < MICROPYTHON_MIN:
        raise DeviceError(8, ".".join(map(str, facts["version"])))
    rows = facts.get("settings")
    facts["settings"] = {_NAMES.get(key, str(key)): value for key, value in rows} if rows else None
    if not _is_manifest(facts["manifest"]):
        facts["manifest"] = None
    return facts


def _is_manifest(found: Any) -> bool:
    """Whether it is one as bundle.py makes it: a board may have any file of that name."""
    if not isinstance(found, dict):
        return False
    kinds = {"program": str, "version": int, "files": dict}
    return all(type(found.get(name)) is kind for name, kind in kinds.items())


def check(facts: Mapping[str, Any], who: Identity, bundle: Bundle, *, lose_journal: bool) -> bool:
    """Whether the board may become that; True: its journal has to go. DeviceError, and it is as
    it was."""
    missing = [label for label in _PARTITIONS if label not in facts["partitions"]]
    if missing:
        raise DeviceError(9, f"no partition {missing[0]}")
    chip = CHIPS.get(facts["chip"], f"chip {facts['chip']}")
    if chip not in bundle.hardware:
        raise DeviceError(16, f"{bundle.program} is for {', '.join(bundle.hardware)}, not {chip}")
    if tuple(facts["version"]) < bundle.micropython:
        has, needs = (".".join(map(str, v)) for v in (facts["version"], bundle.micropython))
        raise DeviceError(8, f"{has}, where {bundle.program} needs {needs}")
    runs = version_of(facts, bundle.program)
    if bundle.version < runs:
        raise DeviceError(17, f"{bundle.program} {bundle.version} on a board with {runs}")
    return must_erase(facts, who, lose_journal)


def provision(
    port: str, facts: Mapping[str, Any], who: Identity, bundle: Bundle, *, erase_journal: bool
) -> None:
    """Make the board that `facts` are of the reader `who`, as `check` has allowed. DeviceError."""
    if "main.py" in facts["files"]:
        # What it has begun, as its watchdog, must be over before anything is put.
        processes.call(port, "stop", mac=facts["mac"])
        processes.reset(port)
    blobs = {**who.blobs, **bundle.blobs}
    gone = [name for name in BLOBS if name not in blobs]
    digests = {"files": bundle.digests, "blobs": digests_of(blobs)}
    words = _hex(blobs), gone, digests, bundle.slot, erase_journal
    found = processes.call(port, "put", *words, files=bundle.files, mac=facts["mac"])
    if found["wrong"]:
        raise DeviceError(12, ", ".join(found["wrong"]))
    processes.reset(port)


def apply(port: str, facts: Mapping[str, Any], who: Identity) -> None:
    """Give a reader that is provisioned other settings, and nothing else. DeviceError."""
    words = _hex(who.blobs), digests_of(who.blobs)
    found = processes.call(port, "apply", *words, mac=facts["mac"])
    if found["wrong"]:
        raise DeviceError(12, ", ".join(found["wrong"]))
    processes.reset(port)


def has_key_of(facts: Mapping[str, Any], kit: SiteKit) -> str:
    """Which key of the kit the board has: "this one", "the one before", or "another one"."""
    found = facts["settings"]
    if not found or found.get("site") != kit.site:
        return "another one"
    keys = kit.device_keys(found["device"])
    own = found["device_key"]["check"]
    if own == derive.check_value(keys["device_key"]):
        return "this one"
    before = keys.get("previous_device_key")
    return "the one before" if before and own == derive.check_value(before) else "another one"


def must_erase(facts: Mapping[str, Any], who: Identity, lose_journal: bool) -> bool:
    """Whether the journal goes: never while it may hold what only this board has. DeviceError."""
    found = facts["settings"]
    is_same = found and (found.get("device"), found.get("site")) == (who.device, who.site)
    if not facts["journal_sectors"] or is_same:
        return False
    if lose_journal:
        return True
    whose = f"reader {found['device']} of {found['site']}" if found else "somebody"
    raise DeviceError(10, f"{facts['journal_sectors']} sectors of {whose}")


def version_of(facts: Mapping[str, Any], program: str) -> int:
    """The version of `program` that a board has: by cable, or since then over the air. 0: none."""
    manifest = facts["manifest"] or {}
    if manifest.get("program") != program:
        return 0
    version = manifest.get("version", 0)
    state = slots.decode(bytes.fromhex(facts.get("slots", "")))
    if state is None or "slot" not in manifest:
        return version
    return max(version, int(slots.image(state, state[slots.IN_USE])[0]))


def digests_of(blobs: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each, as a board says it."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in blobs.items()}


def _hex(blobs: Mapping[str, bytes]) -> dict[str, str]:
    return {name: data.hex() for name, data in blobs.items()}
