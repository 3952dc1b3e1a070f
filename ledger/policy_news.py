"""Tells agents which policies their readers shall have; each is sealed for its reader.

Rules of this file. An agent that asks what firmware there is hears of policies too, every time and
of all: a reader that has its own passes it over. Nothing is kept here.
"""

from itertools import islice

from ledger.policies import PolicyBook
from ledger.receipts import Signer
from protocols.wire import policy_news


class PolicyNews:
    """Answers agents."""

    def __init__(self, book: PolicyBook, signer: Signer) -> None:
        self._book = book
        self._signer = signer

    def news(self, site: str) -> list[bytes]:
        """Of all readers of a site, signed; nothing where no policy was ever set."""
        policies = self._book.sealed(site)
        told = []
        while some := list(islice(policies, policy_news.POLICIES_MAX)):
            told.append(self._signer.sign(policy_news.encode(some), policy_news.LABEL))
        return told
