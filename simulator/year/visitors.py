"""Visitors of a campus have no card and pay with a phone, and what came of that is kept here.

Rules of this file. A reader that is online scans the code of a platform: the acquirer reserves,
the reader's record sells, the acquirer confirms and tells it on the statement of that day. At any
reader a visitor may scan the merchant's aggregate code instead: the channel tells that once a
month, and the reader's record is the merchant's word. Once in each thirty days it goes wrong: a
screenshot is shown for a payment, a payment has no record, and the acquirer states an order that
nobody has given. Nothing here reads the books but to hold them against what was so.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from ledger.acquirer import Said, StatementLine, Word
from ledger.aggregate_match import Line, Status
from ledger.code_sales import Ask
from ledger.store import LedgerStore
from protocols.rules.scan_codes import WECHAT
from protocols.wire import messages
from simulator.acquirer.payments import CONFIRMED, RESERVED, Payments
from simulator.year.posts import Post
from simulator.year.truth import BANK, Account, Truth

ACQUIRER: Account = "acquirer", 0
CARDS_PER_VISITOR = 100  # a day
SCANNED = 0.5  # the others scan what the merchant shows
PRICES_FEN = range(800, 1_800, 50)
WRONG_EVERY_DAYS, WRONG_FEN = 30, 777  # no meal costs this
_CHANNEL, _CODE_CHARS = "wechat", 38
_WHY = {Status.UNVERIFIED: "no", Status.AMBIGUOUS: "more than one may be its"}
_PAID_BEFORE_S = 20  # the payer's phone, before the merchant confirms


class WrongAnswer(Exception):
    """The ledger and the acquirer do not say the same of an order."""


@dataclass(frozen=True, slots=True)
class Statements:
    """What statements came to: lines cleared, sales verified, and what matches nothing.

    `wrong`: what differs from what was so, in sentences.
    """

    cleared: int
    verified: int
    unmatched: tuple[str, ...]
    wrong: tuple[str, ...]


class Visitors:
    """Those of one campus. `day_s(day)`: when day (from 0 on) begins; `offset_s`: its zone."""

    def __init__(
        self,
        store: LedgerStore,
        truth: Truth,
        seed: int,
        day_s: Callable[[int], int],
        offset_s: int,
    ) -> None:
        self._store, self._truth = store, truth
        self._rng = random.Random(seed)
        self._day_s, self._offset_s = day_s, offset_s
        self._payments = Payments(":memory:")
        self._lines: list[Line] = []  # not imported yet
        self._told: set[tuple[str, str]] = set()  # whose record is in the books
        self._paid: set[tuple[str, str]] = set()  # imported
        self._bare = 0  # records that nobody has paid for, in the books
        self._orders = self._strays = self._codes = 0

    def pay(self, posts: list[Post], count: int, day: int, from_s: int) -> None:
        """`count` visitors pay one after the other, from `from_s` on."""
        for at in range(count):
            post, fen = self._rng.choice(posts), self._rng.choice(PRICES_FEN)
            is_scanned = post.online_day <= day and self._rng.random() < SCANNED
            (self._scan if is_scanned else self._show)(post, fen, day, from_s + 10 * at)
        if day % WRONG_EVERY_DAYS == WRONG_EVERY_DAYS // 2:
            self._go_wrong(posts[0], from_s + 10 * count)

    def evening(self, day: int) -> None:
        """Behind the day's delivery: what was sold is confirmed, and the day is stated."""
        for order in self._store.acquirer_orders.open():
            self._say("confirm", order.order_no, day, {})
            self._store.acquirer_orders.hear(order.number, Said(Word.CONFIRMED), self._day_s(day))
        number = (self._day_s(day) + self._offset_s) // 86_400
        lines = [StatementLine(*line) for line in self._payments.statement(self._today(day))]
        heard_s = self._day_s(day + 1)
        entered = self._store.acquirer_statements.enter(number, lines, heard_s)
        cleared_fen = sum(line.amount_fen for line in lines if line.amount_fen != WRONG_FEN)
        self._truth.move(BANK, ACQUIRER, cleared_fen)
        self._orders += entered.cleared

    def statements(self, now_s: int) -> Statements:
        """The channel's statement is imported, and both are held against what was so."""
        self._store.aggregate.enter(list(enumerate(self._lines, 1)))
        self._paid |= {(line.channel, line.order_no) for line in self._lines}
        self._lines = []
        found = self._store.aggregate.matched()
        stray = [line for line in found.lines if found.lines[line] is not Status.VERIFIED]
        bare = [sale for sale in found.sales if found.sales[sale] is not Status.VERIFIED]
        # Of two lines that may be one sale's neither is verified, and one of them is its.
        strays, bares = (len(each) - len(found.pairs) for each in (found.lines, found.sales))
        missed = self._store.acquirer_statements.unmatched(self._offset_s, now_s)
        true = {
            "verified sales": (len(found.pairs), len(self._paid & self._told)),
            "lines without a record": (strays, len(self._paid - self._told)),
            "records without a line": (bares, self._bare + len(self._told - self._paid)),
            "lines of no order": (len(missed), self._strays),
        }
        wrong = [f"{what}: {a}, {b} in truth" for what, (a, b) in true.items() if a != b]
        unmatched = [f"order {one.order_no}: {one.fault}" for one in missed]
        unmatched += [
            f"line {one.order_no} of {one.channel}: {_WHY[found.lines[one]]} record"
            for one in stray
        ]
        unmatched += [
            f"record {one.device}/{one.seq}: {_WHY[found.sales[one]]} line" for one in bare
        ]
        cleared, self._orders = self._orders, 0
        return Statements(cleared, len(found.pairs), tuple(unmatched), tuple(wrong))

    # --- how -------------------------------------------------------------------------------------

    def _scan(self, post: Post, fen: int, day: int, time_s: int) -> None:
        reader, code = post.reader, b"13%016d" % self._next_code()
        ask = Ask(reader.device, self._rng.randbytes(8), code, fen, reader.seq + 1)
        order = self._store.acquirer_orders.ask(
            ask, code.ljust(_CODE_CHARS, b"\0"), WECHAT, time_s
        )
        if order is None:
            raise WrongAnswer(f"reader {reader.device}: no order of record {reader.seq + 1}")
        said = {"code": code.decode(), "amount_fen": fen}
        self._say("reserve", order.order_no, day, said)
        self._store.acquirer_orders.hear(order.number, Said(Word.RESERVED), time_s)
        what = {"number": order.number, "amount_fen": fen, "result": messages.COMMITTED}
        record = reader.write(messages.CODE_SALE, time_s, **what)
        post.keep([record], partial(self._sold, reader.merchant_no, day, fen))

    def _sold(self, merchant_no: int, day: int, fen: int) -> None:
        self._truth.move(ACQUIRER, ("merchant", merchant_no), fen)
        self._truth.sales[merchant_no, day] += fen

    def _show(self, post: Post, fen: int, _day: int, time_s: int) -> None:
        reader, key = post.reader, (_CHANNEL, f"4200{self._next_code():012}")
        self._lines.append(Line(*key, reader.merchant_no, fen, time_s - _PAID_BEFORE_S))
        record = self._aggregate(post, fen, time_s)
        post.keep([record], partial(self._told.add, key))

    def _aggregate(self, post: Post, fen: int, time_s: int) -> bytes:
        what = {"amount_fen": fen, "merchant_no": post.reader.merchant_no}
        return post.reader.write(messages.AGGREGATE, time_s, **what)

    def _go_wrong(self, post: Post, time_s: int) -> None:
        """A screenshot, a payment without a record (hours apart), an order of nobody."""
        post.keep([self._aggregate(post, WRONG_FEN, time_s)], self._count_bare)
        merchant_no, order_no = post.reader.merchant_no, f"4200{self._next_code():012}"
        self._lines.append(Line(_CHANNEL, order_no, merchant_no, WRONG_FEN, time_s - 7_200))
        today = datetime.fromtimestamp(time_s + self._offset_s, UTC).date().isoformat()
        self._payments.stray(f"stray-{self._next_code()}", WRONG_FEN, today)
        self._strays += 1

    def _count_bare(self) -> None:
        self._bare += 1

    def _say(self, verb: str, order_no: str, day: int, said: dict[str, object]) -> None:
        answer = self._payments.carry_out(verb, order_no, self._today(day), said)
        wanted = RESERVED if verb == "reserve" else CONFIRMED
        if answer["state"] != wanted:
            raise WrongAnswer(f"order {order_no}: {verb} brought {answer['state']}")

    def _today(self, day: int) -> str:
        local_s = self._day_s(day) + self._offset_s
        return datetime.fromtimestamp(local_s, UTC).date().isoformat()

    def _next_code(self) -> int:
        self._codes += 1
        return self._codes * 100 + 99  # the acquirer's payers have money if it ends so
