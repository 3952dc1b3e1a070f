"""Numbered reasons why something of a merchant's settlement is refused, and who may say it.

450 to 458; 459 is a case of ledger/reasons.py. A number is never given a second meaning.
"""

from ledger.tampers import PERSON_CHARS_MAX, is_person

NOT_QUIET = 450
WRONG_SPAN = 451
NOT_ENDED = 452
WRONG_STEP = 453
SAME_PERSON = 454
OTHER_REPORT = 455
ENDED = 456
NOT_WITH_BANK = 457
NO_ACCOUNT = 458
TEXTS = {
    NOT_QUIET: "sales of before its end may be missing, and nobody has decided to close it so",
    WRONG_SPAN: "a period has a name of its own, ends behind the one before, and is over",
    NOT_ENDED: "the period before is neither approved nor refused",
    WRONG_STEP: "four approvals, in their order (R7.1)",
    SAME_PERSON: "another person than who has done the step before it",
    OTHER_REPORT: "not the hash of this report, or the books are not what it says any more",
    ENDED: "this report is approved, or refused",
    NOT_WITH_BANK: "this payment is not where the bank's word would find it",
    NO_ACCOUNT: "no bank has such an account, or nobody has such a merchant",
}
BECAUSE_CHARS_MAX = 200


class PeriodRefused(Exception):
    """Something of a settlement that cannot be; nothing was changed, and the text says why."""

    def __init__(self, text: str, reason: int) -> None:
        super().__init__(f"{text} ({reason}, R7.1)")
        self.reason = reason


def check_person(person: str) -> None:
    """Whoever acts in a settlement is named here. PeriodRefused: nobody is called so."""
    if not is_person(person):
        text = f"a person is one word of a-z, 0-9 and -, at most {PERSON_CHARS_MAX} characters"
        raise PeriodRefused(text, SAME_PERSON)


def check_because(because: str, most: int = BECAUSE_CHARS_MAX, reason: int = NOT_QUIET) -> None:
    """PeriodRefused unless somebody has said why, in so many characters."""
    if not 0 < len(because) <= most or not because.isprintable():
        raise PeriodRefused(f"say why in 1 to {most} printable characters", reason)
