"""What an installer has of a site: a file from which the keys of its readers follow, and no more.

    site = "canteen-1"
    generation = 2
    key = "..."                  # 64 hexadecimal digits; the keys of its readers follow from it
    previous_key = "..."         # of the generation before, until it is retired

    [devices]                    # readers whose own key was rotated: how often, and under which
    1001 = [2, 1]                # generation of the site

    [card]                       # what readers hold: nothing that credits a card
    version = 1
    purse_key = "..."            # 32 hexadecimal digits; mac_key, and read_key for doors and desks
    previous_purse_key = "..."   # and previous_mac_key, until that version is retired

It opens no other site and makes no money; docs/provisioning.md says what to do when it is lost.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters import secret_files
from adapters.secret_files import SecretFileError
from protocols.wire import topics
from tools.keys import derive
from tools.keys.vault import KeysError, SiteKeys

# What a reader of either sort holds of a card's keys. None can raise a balance on a DESFire.
PAYS, READS = "pays", "reads"
CARD_PARTS = {PAYS: ("purse", "mac"), READS: ("purse", "mac", "read")}
_CARD_FIELDS = ("purse_key", "mac_key", "read_key", "previous_purse_key", "previous_mac_key")


@dataclass(frozen=True)
class SiteKit:
    """The keys of a site; `card` has settings of readers by name. No `repr` shows a key."""

    keys: SiteKeys = field(repr=False)
    card_version: int
    card: Mapping[str, bytes] = field(repr=False)

    @property
    def site(self) -> str:
        return self.keys.site

    def device_keys(self, device: int) -> dict[str, bytes]:
        """`device_key` of a reader, and `previous_device_key` if there was one before.

        KeysError for a reader that was given another key under a later generation of the site.
        """
        own, under = self.keys.devices.get(device, (1, 0))
        if under > self.keys.generation:
            # How often before, nobody has noted: a key that was never in use would follow.
            raise KeysError(
                f"{self.site}/{device}: its key was rotated under generation {under} of the site;"
                f" a kit of generation {self.keys.generation} does not have it"
            )
        now = {"device_key": derive.device_key(self.keys.key, device, own)}
        if own > 1 and under == self.keys.generation:
            now["previous_device_key"] = derive.device_key(self.keys.key, device, own - 1)
        elif self.keys.previous:
            now["previous_device_key"] = derive.device_key(self.keys.previous, device, own)
        return now


def encode(keys: SiteKeys, version: int, card: Mapping[str, bytes]) -> bytes:
    """The file. `card`: settings of readers by name, of _CARD_FIELDS."""
    lines = [
        "# Keys of one site: mode 0600, on the installer's machine and nowhere else.",
        f"# Check value {derive.check_value(keys.key)}, as `onecard keys show` has it.",
        f'site = "{keys.site}"',
        f"generation = {keys.generation}",
        f'key = "{keys.key.hex()}"',
    ]
    if keys.previous:
        lines.append(f'previous_key = "{keys.previous.hex()}"')
    lines += ["", "[devices]"]
    lines += [f"{number} = [{own}, {at}]" for number, (own, at) in sorted(keys.devices.items())]
    lines += ["", "[card]", f"version = {version}"]
    lines += [f'{name} = "{card[name].hex()}"' for name in _CARD_FIELDS if name in card]
    return ("\n".join(lines) + "\n").encode()


def read(path: Path) -> SiteKit:
    """The kit in `path`. KeysError when others may read it, or it is torn or of another kind."""
    try:
        table = tomllib.loads(secret_files.read(path).decode())
        card = dict(table["card"])
        version = card.pop("version")
        devices = {int(number): (row[0], row[1]) for number, row in table["devices"].items()}
        keys = SiteKeys(
            table["site"],
            table["generation"],
            bytes.fromhex(table["key"]),
            bytes.fromhex(table.get("previous_key", "")),
            devices,
        )
        kit = SiteKit(keys, version, {name: bytes.fromhex(key) for name, key in card.items()})
    except SecretFileError as error:
        raise KeysError(str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        # No message repeats the line: it may hold a key.
        raise KeysError(f"{path}: not a site's kit, or torn; onecard keys export site") from None
    _check(path, kit)
    return kit


def register(kit: SiteKit, devices: Iterable[int], facts: Mapping[str, Any]) -> bytes:
    """These readers as the ledger's register takes them (ledger/config.py), with their keys."""
    rows = []
    for device in devices:
        keys = kit.device_keys(device)
        rows += ["[[device]]", f"device = {device}", f'key = "{keys["device_key"].hex()}"']
        if "previous_device_key" in keys:
            rows.append(f'previous_key = "{keys["previous_device_key"].hex()}"')
        rows.append(f'site = "{kit.site}"')
        rows += [f"{name} = {_toml(value)}" for name, value in facts.items()]
        rows.append("")
    return "\n".join(rows).encode()


def _toml(value: str | int) -> str:
    # A string of JSON is one of TOML, as long as no half of a character is escaped in it.
    return json.dumps(value, ensure_ascii=False)


def _check(path: Path, kit: SiteKit) -> None:
    keys = kit.keys
    sizes = {derive.SITE_BYTES} == {len(keys.key), len(keys.previous or keys.key)}
    card = all(
        name in _CARD_FIELDS and len(key) == derive.CARD_BYTES for name, key in kit.card.items()
    )
    rows = all(
        type(part) is int and part >= 0 and 0 < device <= 0xFFFFFFFF
        for device, row in keys.devices.items()
        for part in row
    )
    numbers = type(keys.generation) is int and type(kit.card_version) is int
    has_purse = {"purse_key", "mac_key"} <= set(kit.card)
    if not (sizes and card and rows and numbers and has_purse and topics.is_site(keys.site)):
        raise KeysError(f"{path}: something in this kit is of the wrong form")
