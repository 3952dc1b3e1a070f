"""A ledger whose readers are shown platforms' codes: its desk, an acquirer, a line with faults.

The acquirer is the simulated one, called and not sent for: which call comes when is then the
test's to say. tests/ledger/test_acquirer_process.py has it as a process.
"""

from concurrent.futures import Executor, Future
from datetime import UTC, datetime

from ledger.acquirer import NoAnswer
from ledger.acquirer_client import HttpAcquirer
from ledger.acquirer_desk import AcquirerDesk
from ledger.code_desk import CodeDesk
from ledger.invariants import check
from ledger.relay_desk import RelayDesk
from simulator.acquirer.faults import Faults, Line
from simulator.acquirer.payments import Payments
from tests.ledger.checkout import Checkout
from tests.ledger.readers import CANTEEN

WECHAT, ALIPAY, UNIONPAY = b"134567890123456789", b"281234567890123456", b"6212345678901234567"
POOR, OLD, SLOW = (WECHAT[:-2] + end for end in (b"00", b"01", b"02"))
DAY, OFFSET_S = 20_782, 28_800  # of NOW_S, where the school is


class AtOnce(Executor):
    """Does what it is given when `run` says so, in this thread."""

    def __init__(self):
        self._given = []

    def submit(self, function, /, *arguments, **named):
        future = Future()
        self._given.append((future, function, arguments, named))
        return future

    def run(self):
        given, self._given = self._given, []
        for future, function, arguments, named in given:
            try:
                future.set_result(function(*arguments, **named))
            except Exception as error:  # noqa: BLE001 - as executors do
                future.set_exception(error)
        return len(given)


class Way:
    """The way to an acquirer, as adapters.signed_http.SignedHttp, without a socket.

    `said` are the verbs that went over it; today() gives the acquirer's day.
    """

    def __init__(self, today, plan=None, seed=None):
        self.payments = Payments(":memory:")
        self.line = Line(self._carry_out, Faults(plan, seed))
        self.said = []
        self._today = today

    def _carry_out(self, verb, order_no, said):
        return self.payments.carry_out(verb, order_no, self._today(), said)

    def call(self, method, path, said=None):
        what = path.split("/")[1:]
        if what[0] == "statements":
            return 200, {"day": what[1], "lines": self.payments.statement(what[1])}
        verb = {"PUT": "reserve", "GET": "query"}.get(method) or what[2]
        self.said.append(verb)
        line = self.line
        answer = line.request(verb, what[1], said or {})
        if answer is None or line.is_forged:
            raise NoAnswer("as the line has it")
        return 200, answer


class Acquiring(Checkout):
    """`plan`: the faults of the line (simulator/acquirer/faults.py)."""

    def __init__(self, *readers, plan=None, seed=None, **options):
        self.way = Way(self.today, plan, seed)
        self.payments, self.line, self.said = self.way.payments, self.way.line, self.way.said
        super().__init__(*readers, **options)

    def today(self):
        return datetime.fromtimestamp(self.now_s + OFFSET_S, UTC).date().isoformat()

    def boot(self):
        super().boot()
        self.pool = AtOnce()
        books = self.store.acquirer_orders, self.store.acquirer_statements
        acquirer = HttpAcquirer(self.way)
        self.acquirer = AcquirerDesk(*books, acquirer, self.pool, lambda: self.now_s, OFFSET_S)
        interval_ms = lambda: (self.now_ms, self.now_ms)  # noqa: E731
        self.desk = CodeDesk(self.store, self.phones, self.policy, interval_ms, self.acquirer)
        self.relays = RelayDesk(self.store, self.desk)

    def asked(self, reader, code=None, **fields):
        return super().asked(reader, code=(code or WECHAT).ljust(38, b"\0"), **fields)

    def run(self, count=1, ms=1_000):
        """Let the calls that are under way come to something, so many times, and time go on."""
        for _ in range(count):
            self.acquirer.step(self.now_ms)
            self.pool.run()
            self.acquirer.step(self.now_ms)
            self.now_ms += ms

    def heard(self, reader, asked, patience=6):
        """What the reader hears, asking again each second; None: it has given up."""
        for _ in range(patience):
            answer = self.say(reader, asked)
            if answer is not None:
                return answer
            self.run()
        return None

    def come_to_rest(self):
        """All faults end, all that is late arrives, and the ledger has all the time it wants."""
        self.line.faults.heal()
        self.line.deliver_late()
        self.run(count=6, ms=300_000)

    def agrees(self, *readers):
        """All is booked and both agree: (what the merchant has, what payers are without)."""
        for reader in readers:
            self.store.book([reader.records])
        self.come_to_rest()
        assert check(self.store) == []
        charged = self.payments.charged()
        return self.store.takings(CANTEEN), sum(charged.values())
