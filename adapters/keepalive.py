"""Whether the other end of a connection still speaks, by the host's clock; time is an argument.

MQTT lets a broker drop a client that was silent for 1.5 keep-alives (3.1.1, section 3.1.2.10); a
client that finds its broker silent has the same patience. paho asks (PINGREQ) after one keep-alive
without a word, and would wait for another whole one.
"""

_PATIENCE = 0.25  # of a keep-alive, behind the question


class Keepalive:
    """Of one connection, opened at `now_s`. `keepalive_s` 0: nobody asks, and it never ends."""

    def __init__(self, keepalive_s: int, now_s: float) -> None:
        self._keepalive_s = keepalive_s
        self._heard_s = now_s
        self._asked_s: float | None = None

    def is_silent(self, has_heard: bool, now_s: float) -> bool:
        """Whether the other end is gone. `has_heard`: something came since the last call.

        Who was stopped for hours and comes back has not listened: the question is put first.
        """
        if has_heard or not self._keepalive_s:
            self._heard_s, self._asked_s = now_s, None
        elif self._asked_s is not None:
            return now_s - self._asked_s >= self._keepalive_s * _PATIENCE
        elif now_s - self._heard_s >= self._keepalive_s:
            self._asked_s = now_s  # paho does it in the same step
        return False
