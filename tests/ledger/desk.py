"""The place of the MQTT port in tests: what is delivered and what is sent, by hand."""

from adapters.mqtt import Message
from protocols.wire import topics


class Desk:
    """Behaves like adapters.mqtt.MqttPort with a broker that is always there."""

    def __init__(self):
        self.connected = True
        self.sessions = 1
        self.inbox = []
        self.sent = []
        self.log = []  # everything, in order: ("publish", topic) and ("ack", mid)
        self._mid = 0

    def deliver(self, site, payload, *, topic=None, retain=False):
        self._mid += 1
        topic = topics.agent_records(site) if topic is None else topic
        message = Message(topic, payload, retain, mid=self._mid, qos=1)
        self.inbox.append(message)
        return message

    def step(self, now_ms):
        return now_ms + 5_000

    def take(self):
        return self.inbox.pop(0) if self.inbox else None

    def publish(self, topic, payload, *, retain=False):
        if not self.connected:
            return 0
        self.sent.append((topic, payload, retain))
        self.log.append(("publish", topic))
        return len(self.sent)

    def ack(self, message):
        self.log.append(("ack", message.mid))

    def receipts(self, site):
        return [payload for topic, payload, _ in self.sent if topic == topics.agent_receipts(site)]
