"""What systemd is told by its protocol (sd_notify(3)): ready, alive, in a few words, stopping.

Started by anything else, nothing is told to anybody.
"""

import os
import socket

READY, STOPPING = "READY=1", "STOPPING=1"
_ALIVE = "WATCHDOG=1"


class Notify:
    """`environment` is the process's; of it NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        known = os.environ if environment is None else environment
        address = known.get("NOTIFY_SOCKET", "")
        # An abstract one begins with "@" in words and with a zero for the kernel.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        is_ours = known.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_us = known.get("WATCHDOG_USEC", "") if is_ours else ""
        # Twice in its time, as its manual has it.
        self._every_ms = int(watchdog_us) // 2000 if watchdog_us.isdecimal() else 0
        self._alive_ms: int | None = None
        self._status = ""

    def say(self, state: str) -> None:
        """One or more lines of the protocol, now or never."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as port:
                port.sendto(state.encode(), self._address)
        except OSError:
            pass  # it will notice that nothing comes, which is what it is for

    def status(self, words: str) -> None:
        """What `systemctl status` shows."""
        if words != self._status:
            self._status = words
            self.say(f"STATUS={words}")

    def alive(self, now_ms: int) -> int | None:
        """Tell that we get on, if it is time; when to be called again, None if nobody asks."""
        if not self._every_ms:
            return None
        if self._alive_ms is None or now_ms >= self._alive_ms:
            self._alive_ms = now_ms + self._every_ms
            self.say(_ALIVE)
        return self._alive_ms
