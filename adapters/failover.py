"""The addresses of one broker, or of the nodes of one cluster: which is dialled next, and when.

They are tried in turn. All of them lead to the same messages: that is what a cluster is for. An
agent on one of two brokers that know nothing of each other would never meet a ledger on the other.
"""

from collections.abc import Sequence

Address = tuple[str, int]
NEXT_MS = 50  # from one address to the next
BACKOFF_MS_MIN, BACKOFF_MS_MAX = 500, 30_000  # once all of them were of no use
PORT_MAX = 65_535
ADDRESSES_MAX = 9


class BadAddress(ValueError):
    """Not host:port; the text says what is wanted."""


def parse(text: object) -> Address:
    """(host, port) of "host:port" or "[address]:port". BadAddress."""
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 0
    if not (colon and host and host.isprintable() and " " not in host and 1 <= number <= PORT_MAX):
        raise BadAddress('each is "host:port", or "[address]:port" with IPv6')
    return host, number


def parse_all(first: Address, texts: object) -> tuple[Address, ...]:
    """The addresses of a list of further ones, none twice and none that is `first`. BadAddress."""
    if not isinstance(texts, list) or len(texts) >= ADDRESSES_MAX:
        raise BadAddress(f"a list of at most {ADDRESSES_MAX - 1} addresses is needed")
    found = tuple(map(parse, texts))
    if len({first, *found}) <= len(found):
        raise BadAddress("one of them stands there twice")
    return found


class Failover:
    """`address` is the one to dial; `failed` goes on to the next."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = tuple(addresses)
        self._at = 0
        self._failures = 0
        self._backoff_ms = BACKOFF_MS_MIN

    @property
    def address(self) -> Address:
        return self._addresses[self._at]

    @property
    def node(self) -> str:
        """`address` as "host:port" for people; "" where it is the only one."""
        host, port = self.address
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return shown if len(self._addresses) > 1 else ""

    def failed(self) -> int:
        """This address was of no use, or is no longer: the ms to wait before the next one.

        The back-off grows once for all of them, so a node that is down costs a moment and no more.
        """
        self._at = (self._at + 1) % len(self._addresses)
        self._failures += 1
        if self._failures % len(self._addresses):
            return NEXT_MS
        wait_ms, self._backoff_ms = self._backoff_ms, min(2 * self._backoff_ms, BACKOFF_MS_MAX)
        return wait_ms

    def steady(self) -> None:
        """What is there now has held for a while: its loss is the first one again."""
        self._failures = 0
        self._backoff_ms = BACKOFF_MS_MIN
