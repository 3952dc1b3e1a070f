"""Tells agents which readers of their site have ended (ledger/retirement.py).

Rules of this file. An agent that asks what firmware there is hears of all of them every time: one
that has lost its list, or comes from a backup, has it again in minutes. Nothing is kept here.
"""

from itertools import islice

from ledger.dialect import Dialect
from ledger.receipts import Signer
from ledger.retirement import every
from protocols.wire import fleet_news


class FleetNews:
    """Answers agents from `database`."""

    def __init__(self, database: Dialect, signer: Signer) -> None:
        self._database = database
        self._signer = signer

    def news(self, site: str) -> list[bytes]:
        """Of a site, signed; nothing where no reader has ended."""
        devices = (one.device for one in every(self._database) if one.site == site)
        told = []
        while some := list(islice(devices, fleet_news.READERS_MAX)):
            told.append(self._signer.sign(fleet_news.encode(some), fleet_news.LABEL))
        return told
