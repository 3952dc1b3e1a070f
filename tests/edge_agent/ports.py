"""An MqttPort without a network: what the service publishes is a list, what it reads is ours."""

from collections import deque

from adapters.mqtt import Message


class FakePort:
    """MqttPort's seam, with a switch for the network and a memory for what was said."""

    def __init__(self):
        self.connected = False
        self.sessions = 0
        self.unacked = 0
        self.counters = {}
        self.last_error = ""
        self.published = []  # (topic, payload) not yet looked at
        self.acked = []
        self.events = []  # ("publish", topic) and ("ack", topic) in order
        self.refuses_publish = False
        self.listens = []  # each list of filters that it was told since the start
        self._inbox = deque()

    def up(self):
        self.connected = True
        self.sessions += 1

    def down(self):
        self.connected = False
        self._inbox.clear()

    def deliver(self, topic, payload, *, retain=False):
        message = Message(topic, payload, retain)
        self._inbox.append(message)
        return message

    def sent(self):
        """What was published since the last look."""
        said, self.published = self.published, []
        return said

    # --- the seam ---

    def step(self, now_ms):
        return now_ms + 1_000

    def publish(self, topic, payload, *, retain=False):
        if not self.connected or self.refuses_publish:
            return 0
        self.published.append((topic, payload))
        self.events.append(("publish", topic))
        return len(self.events)

    def take(self):
        return self._inbox.popleft() if self._inbox else None

    def listen(self, subscriptions):
        self.listens.append(list(subscriptions))

    def hold(self):
        pass

    def release(self):
        pass

    def ack(self, message):
        self.acked.append(message)
        self.events.append(("ack", message.topic))
