"""Numbered reasons why no payment is made or noted, 490 to 493; none gets a second meaning."""

WAITS = 490
NOT_NOTED = 491
OTHER_FACTS = 492
NOT_RESTORED = 493
TEXTS = {
    WAITS: "these books came back from a backup: the bank may have what they do not know",
    NOT_NOTED: "the bank has a payment or a file that these books do not know, or know not yet",
    OTHER_FACTS: "a payment of this number is known here, with other facts, or cannot be",
    NOT_RESTORED: "nobody has said that these books came back from a backup",
}


class PaymentRefused(Exception):
    """What cannot be said of payments behind a restore; nothing was changed. No account in it."""

    def __init__(self, text: str, reason: int) -> None:
        super().__init__(f"{text} ({reason})")
        self.reason = reason
