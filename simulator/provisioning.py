"""What a reader of a scenario is set up with: keys that a seed draws, and what its NVS holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger import aggregate_picture
from protocols.rules import charging, menu, settings
from simulator.cardbox import CardKeys
from simulator.doors import rights
from simulator.scenario import Scenario, ScenarioError
from simulator.world.randomness import Seeds

LINE_BAUD = 115_200
_OWN_SETTINGS = ("load_cards", "language", "speech", "ledger_menu")
_READ_KEY = ("door", "lock", "attendance", "identity")  # roles that read cards with that key


@dataclass(frozen=True)
class Secrets:
    """Of a campus: the masters of its cards, what the ledger signs with, each device's key."""

    cards: CardKeys
    signing: bytes
    devices: dict[int, bytes]

    @classmethod
    def drawn(cls, scenario: Scenario, seeds: Seeds) -> Secrets:
        """The same seed and the same readers give the same."""
        draw = seeds.stream("keys")
        cards, signing = CardKeys.drawn(draw), draw.randbytes(32)
        devices = {reader["device"]: draw.randbytes(32) for reader in scenario.readers}
        return cls(cards, signing, devices)


def stored(
    scenario: Scenario, secrets: Secrets, description: Mapping[str, Any]
) -> dict[str, bytes]:
    """What provisioning has stored in a reader, by key of its NVS; ScenarioError."""
    name, role = description["name"], description.get("role", "pos")
    found = {"settings": _settings(scenario, secrets, description)}
    if role in ("door", "lock"):
        found["access"] = rights(scenario.cards)
    if description.get("wifi"):
        found["wifi_ssid"] = b"campus"
    if "desk_format" in description:
        found["desk_format"] = description["desk_format"].encode()
    if description.get("serial"):
        found["serial_baud"] = str(LINE_BAUD).encode()
    if scenario.prices or scenario.periods:
        found["menu"] = menu.encode(charging.packed(scenario.prices), scenario.periods)
    if "aggregate_code" in description:
        try:
            found["aggregate"] = aggregate_picture.draw(description["aggregate_code"]).data
        except aggregate_picture.NoPicture as error:
            raise ScenarioError(scenario.path, 1, f"{name}: {error}") from error
    return found


def _settings(scenario: Scenario, secrets: Secrets, description: Mapping[str, Any]) -> bytes:
    own = {name: description[name] for name in _OWN_SETTINGS if description.get(name)}
    if description.get("role") in _READ_KEY:
        own["read_key"] = secrets.cards.desfire.read
    return settings.encode(
        {
            **own,
            "device": description["device"],
            "site": description.get("site", scenario.site),
            "merchant_no": scenario.merchants[description["merchant"]],
            "device_key": secrets.devices[description["device"]],
            "purse_key": secrets.cards.purse,
            "mac_key": secrets.cards.mac,
            "broker_host": "building",
            "broker_port": 1883,
            "policy": scenario.policy,
        }
    )
