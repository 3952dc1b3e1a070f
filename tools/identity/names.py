"""What a certificate may be made out to, and for how long.

A reader is `<site>/<device>`, an agent `<site>/agent`, a ledger one of LEDGERS: what stands in
their topics behind onecard/v1/, by the rules of protocols/wire/topics.py, so no name holds a
wildcard. A broker is the host name or address by which it is dialled.
"""

import ipaddress
import re
from dataclasses import dataclass

from adapters.identity import LEDGERS
from protocols.wire import topics
from protocols.wire.errors import WireError

READER, AGENT, LEDGER, BROKER = "reader", "agent", "ledger", "broker"
# Somebody has to walk to a reader to renew it; the others are a file on a machine.
DAYS = {READER: 1825, AGENT: 730, LEDGER: 730, BROKER: 730}
DAYS_MAX = 3650
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_HOST_CHARS_MAX = 64  # what a common name takes


class BadName(Exception):
    """Nothing of this system has such a name; the text says which names there are."""


@dataclass(frozen=True)
class Name:
    """A name and what it is the name of: READER, AGENT, LEDGER or BROKER."""

    text: str
    kind: str


def client(text: str) -> Name:
    """The reader, the agent or the ledger of this name. BadName."""
    if text in LEDGERS:
        return Name(text, LEDGER)
    try:
        topics.parse_up(topics.PREFIX + text + "/up")
        return Name(text, READER)
    except WireError:
        pass
    try:
        topics.parse_agent(topics.PREFIX + text + "/records", "records")
        return Name(text, AGENT)
    except WireError:
        raise BadName(
            f"{text!r}: a reader is SITE/NUMBER, an agent SITE/agent, a ledger ledger or ledger-2 "
            "(a site: a-z, 0-9 and '-', 1 to 16 characters); for a broker's host add --broker"
        ) from None


def broker(text: str) -> Name:
    """The broker on this host. BadName."""
    if not address(text) and (len(text) > _HOST_CHARS_MAX or not _HOST.fullmatch(text)):
        raise BadName(f"{text!r}: a broker is a host name in small letters, or an IP address")
    return Name(text, BROKER)


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that `text` is, or None."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
