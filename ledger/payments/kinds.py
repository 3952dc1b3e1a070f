"""The kinds of payments that go through a bank: one description for each, and all else is shared.

Rules of this file. A kind has three journals of the same columns: tries (number, what is due, the
account, file, person, time_s), results and returns (number of the try and what the bank said). It
names its columns, what is due, the account in the books the money waits in, and how it refuses.
The tables are two sets and not one, for an audit's files have their rows under these names.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger import chart, period_reasons
from ledger.card_status import CardRefused
from ledger.dialect import Dialect
from ledger.lifecycle import MONEY_IN_THE_AIR, NO_EVIDENCE, ONE_PERSON
from ledger.period_reasons import PeriodRefused
from ledger.reissues import Reissues
from ledger.transfers import (
    PAID_LINE,
    PAY_OUT,
    REMITTED,
    REMITTED_LINE,
    RETURN,
    RETURN_LINE,
    SENT_BACK,
    SENT_BACK_LINE,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """`prefix` of its journals; `due` and `account`: columns of a try.

    `register`: the table of accounts, each of an `owner`; `payee_of`: whose account gets what an
    owner is due. `dues`: a query of (number, owner, amount_fen, purpose) of all that was ever due;
    the purpose is what the bank is told, and names one owner. `way`: the kind of account in which
    it waits. `paid`, `returned`: kind and line of their transfers. `refused(text, reason)` makes
    the error, with `no_account`, `not_with_bank` and `one_person` as its numbers.
    """

    name: str
    prefix: str
    due: str
    account: str
    register: str
    owner: str
    dues: str
    payee_of: Callable[[Dialect, int], int]
    account_digits: tuple[int, int]
    are_cards: bool
    way: int
    paid: tuple[int, int]
    returned: tuple[int, int]
    refused: Callable[[str, int], Exception]
    no_account: int
    not_with_bank: int
    one_person: int

    def sql(self, query: str) -> str:
        """`query` with the names of this kind's tables and columns in its braces."""
        return query.format(
            tries=f"{self.prefix}_try",
            results=f"{self.prefix}_result",
            returns=f"{self.prefix}_return",
            due=self.due,
            account=self.account,
            register=self.register,
            owner=self.owner,
            dues=f"({self.dues})",
        )


def _of_cards(text: str, reason: int) -> Exception:
    return CardRefused(f"{text} ({reason}, R15.3)", reason)


REFUND = Kind(
    name="refund",
    prefix="payout",
    due="settlement",
    account="payee",
    register="payee",
    owner="card_no",
    dues="SELECT number, card_no AS owner, amount_fen, 'card ' || card_no AS purpose"
    " FROM card_settlement WHERE is_forfeit = 0 AND amount_fen > 0",
    payee_of=lambda database, card_no: Reissues(database).heir(card_no),
    account_digits=(12, 19),
    are_cards=True,
    way=chart.PAYOUT,
    paid=(PAY_OUT, PAID_LINE),
    returned=(RETURN, RETURN_LINE),
    refused=_of_cards,
    no_account=NO_EVIDENCE,
    not_with_bank=MONEY_IN_THE_AIR,
    one_person=ONE_PERSON,
)
REMITTANCE = Kind(
    name="remittance",
    prefix="remittance",
    due="due",
    account="account",
    register="merchant_account",
    owner="merchant_no",
    dues="SELECT m.number, m.merchant_no AS owner, m.due_fen AS amount_fen,"
    " 'merchant ' || m.merchant_no || ' period ' || m.period AS purpose"
    " FROM period_merchant m JOIN period_approval a ON a.period = m.period AND a.step = 4"
    " WHERE m.due_fen > 0",
    payee_of=lambda _database, merchant_no: merchant_no,
    account_digits=(8, 32),
    are_cards=False,  # a firm's account is no card's number
    way=chart.REMITTANCE,
    paid=(REMITTED, REMITTED_LINE),
    returned=(SENT_BACK, SENT_BACK_LINE),
    refused=PeriodRefused,
    no_account=period_reasons.NO_ACCOUNT,
    not_with_bank=period_reasons.NOT_WITH_BANK,
    one_person=period_reasons.SAME_PERSON,
)
KINDS = {kind.name: kind for kind in (REFUND, REMITTANCE)}
