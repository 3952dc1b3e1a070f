"""The agent's health in Home Assistant: sensors for who looks after readers, and nothing else.

MQTT discovery as Home Assistant publishes it: for each sensor a retained configuration, and a
state that its users may miss, said again twice a minute. Opt-in, to a broker of Home Assistant's.

    <prefix>/sensor/onecard_<site>_<device>/<field>/config     retained; empty: the sensor is gone
    <prefix>/sensor/onecard_<site>_<device>/state              JSON; <device> is "agent" for itself

Rules of this file. It only ever publishes, on these topics; it hears nothing, so nobody can say
anything to the agent by it. Every sensor is diagnostic, none is a lock, a button or a tag, and no
person, card, amount, PIN or error text is in any. What goes wrong here holds nobody up: without
that broker the agent only is not seen there.
"""

import json
from datetime import UTC, datetime
from typing import Any

from adapters.mqtt import MqttPort

STATE_MS = 30_000
EXPIRE_S = 120  # then a sensor is shown as unavailable: the agent, or the network, is gone
UNACKED_MAX = 64
AGENT, LINK = "agent", "home_assistant"
_COUNT = {"state_class": "measurement"}
# Field -> how it is called, what of a reader it says, and what Home Assistant has to know of it.
READER_SENSORS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "battery": (
        "Battery",
        "battery_mv",
        {"device_class": "voltage", "unit_of_measurement": "mV", **_COUNT},
    ),
    "backlog": ("Backlog", "waiting", {"unit_of_measurement": "records", **_COUNT}),
    "last_seen": ("Last seen", "last_seen_s", {"device_class": "timestamp"}),
    "firmware": ("Firmware", "firmware", {}),
}
_UP, _DOWN = "up", "down"
_LINK_STATES = {"device_class": "enum", "options": [_UP, _DOWN]}
_DISK = {"unit_of_measurement": "%", **_COUNT}


class HomeAssistant:
    """Tells Home Assistant, over `port`, what `show` is given; with `is_on` False that it is gone.

    `port` subscribes to nothing; who made it closes it.
    """

    def __init__(self, site: str, prefix: str, port: MqttPort, *, is_on: bool = True) -> None:
        self._root = f"{prefix}/sensor/onecard_{site}_"
        self._site = site
        self._port = port
        self._is_on = is_on
        self._view: dict[str, Any] = {}
        self._has_news = False
        self._session = 0
        self._announced: set[str] = set()  # in this session
        self._waiting: dict[str, tuple[bytes, bool]] = {}  # topic -> what is next, and retained
        self._state_ms = 0

    def show(self, view: dict[str, Any]) -> None:
        """From now on this is so (view.py)."""
        self._view, self._has_news = view, True

    def step(self, now_ms: int) -> int:
        """Say what is due, as far as the broker takes it; when to call again (ms)."""
        due_ms = self._port.step(now_ms)
        while (unasked := self._port.take()) is not None:
            self._port.ack(unasked)  # by a broker that sends what nobody has asked for
        if not self._port.connected or not self._view:
            return due_ms
        if self._port.sessions != self._session:
            self._session, self._state_ms, self._has_news = self._port.sessions, now_ms, True
            self._announced.clear()
            self._waiting.clear()
        if self._has_news:
            self._has_news = False
            self._announce()
        if self._is_on and now_ms >= self._state_ms:
            self._state_ms = now_ms + STATE_MS
            self._waiting |= {topic: (text, False) for topic, text in self._states().items()}
        self._publish()
        return min(due_ms, self._state_ms) if self._is_on else due_ms

    def _publish(self) -> None:
        for topic in list(self._waiting)[:UNACKED_MAX]:
            payload, retain = self._waiting[topic]
            if self._port.unacked >= UNACKED_MAX:
                return
            if not self._port.publish(topic, payload, retain=retain):
                return
            del self._waiting[topic]

    def _announce(self) -> None:
        """Have every sensor told that has something to say; or every one taken back."""
        for name in self._view["links"]:
            if name != LINK:
                self._tell(AGENT, f"link_{name}", f"Link {name}", _LINK_STATES)
        self._tell(AGENT, "disk", "Disk", _DISK)
        for reader in self._view["readers"]:
            for field, (name, key, facts) in READER_SENSORS.items():
                if reader.get(key) is not None or not self._is_on:
                    self._tell(reader["device"], field, name, facts)

    def _tell(self, device: int | str, field: str, name: str, facts: dict[str, Any]) -> None:
        topic = f"{self._root}{device}/{field}/config"
        if topic in self._announced:
            return
        self._announced.add(topic)
        if not self._is_on:
            self._waiting[topic] = b"", True
            return
        whose = f"onecard_{self._site}_{device}"
        title = f"{self._site} agent" if device == AGENT else f"{self._site} reader {device}"
        config = {
            **facts,
            "name": name,
            "unique_id": f"{whose}_{field}",
            "state_topic": f"{self._root}{device}/state",
            "value_template": f"{{{{ value_json.{field} }}}}",
            "entity_category": "diagnostic",
            "expire_after": EXPIRE_S,
            "device": {"identifiers": [whose], "name": title},
            "origin": {"name": "onecard agent"},
        }
        self._waiting[topic] = _encoded(config), True

    def _states(self) -> dict[str, bytes]:
        links, store = self._view["links"], self._view["store"]
        agent: dict[str, Any] = {
            f"link_{name}": _UP if link["connected"] else _DOWN
            for name, link in links.items()
            if name != LINK
        }
        agent["disk"] = 100 * store["used_bytes"] // max(store["limit_bytes"], 1)
        found = {f"{self._root}{AGENT}/state": _encoded(agent)}
        for reader in self._view["readers"]:
            said = {field: reader.get(key) for field, (_, key, _) in READER_SENSORS.items()}
            seen_s = said["last_seen"]
            if seen_s is not None:
                said["last_seen"] = datetime.fromtimestamp(seen_s, UTC).isoformat()
            found[f"{self._root}{reader['device']}/state"] = _encoded(said)
        return found


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
