"""The ledger's store: the books in a database, and the only place that writes them.

Rules of this file. Whatever changes the books happens in one transaction: read what it can touch
(ledger/loading.py), decide (ledger/booking.py), write (ledger/posting.py). What returned is on the
disk. What differs between databases is in ledger/dialect.py and ledger/schema.py.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger import chart, late
from ledger.access import AccessBook
from ledger.acquirer_orders import AcquirerOrders
from ledger.acquirer_statements import AcquirerStatements
from ledger.aggregate import AggregateSales
from ledger.attendance import Attendance
from ledger.batches import Batches
from ledger.book import Book, Changes
from ledger.booking import decide
from ledger.card_status import Cards
from ledger.carry_over import CarryOvers
from ledger.channel_topups import ChannelTopUps
from ledger.code_entries import CodeEntries
from ledger.code_sales import CodeSales
from ledger.corrections import Corrections
from ledger.dialect import POSTGRESQL, Conflict, ConstraintBroken, Dialect, Row, SqliteDialect
from ledger.dump import dump
from ledger.evidence import State
from ledger.firmware import FirmwareBook
from ledger.holder_accounts import HolderAccounts
from ledger.holders import Holders
from ledger.issuing import issue, open_accounts
from ledger.loading import keys_of, load_book
from ledger.lock_mail import LockMail
from ledger.loss_reports import LossReports
from ledger.menus import MenuBook
from ledger.merchants import Merchants
from ledger.operators import Operators
from ledger.payments.after_restore import AfterRestore
from ledger.payouts import Payouts
from ledger.periods import Periods
from ledger.person_numbers import PersonNumbers
from ledger.policies import PolicyBook
from ledger.posting import write_changes, write_runs
from ledger.promises import HAS_ENDED
from ledger.read_ahead import Portion, ReadAhead, without_collection
from ledger.reissues import Reissues
from ledger.reservations import Settled
from ledger.retirement import IN_USE, is_retired
from ledger.settlements import Settlements
from ledger.subsidies import Subsidies
from ledger.tampers import Tampers
from ledger.temporary import Temporaries
from ledger.topups import TopUps
from ledger.transfers import ACQUIRE, CANCEL, CODE_SALE, SPEND
from protocols.card.purse import CARD_CENTRE
from protocols.rules.card_status import CARD_NO_MAX
from protocols.wire import messages, seal, topics

TRIES_MAX = 5  # of one booking, one behind the other
ACCOUNTS_KEPT = 200_000  # some 15 MB: then they are asked for anew
_NUMBER_MAX = 0xFFFFFFFF
_DEVICES = """
WITH k (number) AS (VALUES {keys})
SELECT device, merchant_no, site FROM k CROSS JOIN device WHERE device = number"""
_CARDS = """
WITH k (number) AS (VALUES {keys})
SELECT card_no, opening_fen FROM k CROSS JOIN card WHERE card_no = number"""
_COUNTS = {
    "records": "SELECT COUNT(*) FROM record",
    "booked": f"SELECT COUNT(*) FROM transfer WHERE kind = {SPEND}",
    "pending": f"SELECT COUNT(*) FROM intent WHERE state = {int(State.PENDING)} AND credit_no = 0",
    "unknown": f"SELECT COUNT(*) FROM intent WHERE state = {int(State.UNKNOWN)} AND credit_no = 0",
    "loaded": "SELECT COUNT(*) FROM load WHERE is_loaded = 1",
    "loading": f"SELECT COUNT(*) FROM load l WHERE is_loaded = 0 AND NOT {HAS_ENDED}",
    "cancelled": f"SELECT COUNT(*) FROM transfer WHERE kind = {CANCEL}",
    "cancelling": "SELECT COUNT(*) FROM cancel c CROSS JOIN intent i"
    " WHERE i.device = c.device AND i.seq = c.intent_seq"
    f" AND i.state < {int(State.COMMITTED)}",
    "reserved": f"SELECT COUNT(*) FROM reservation WHERE state = {int(Settled.OPEN)}",
    "sold": f"SELECT COUNT(*) FROM reservation WHERE state = {int(Settled.SOLD)}",
    "parked": "SELECT COUNT(*) FROM parked",
    "suspense": "SELECT COUNT(*) FROM suspense_case",
    "overdrawn": "SELECT COUNT(*) FROM account WHERE overdrawn = 1",
    "rejected": "SELECT COUNT(*) FROM rejected",
    "duplicates": "SELECT total FROM tally WHERE name = 'duplicates'",
}


class RegistryError(Exception):
    """A device, merchant or card cannot be registered like this; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Head:
    """Everything of a device up to `seq` is booked; `tag` is the seal's tag of that record.

    Nothing yet: `seq` 0 and the tag that starts a chain. `key` is that of the device's keys which
    sealed the record, so the device can check a receipt about it, whichever key it has got to.
    """

    device: int
    key: bytes = field(repr=False)  # never in a log
    seq: int
    tag: bytes


@dataclass(frozen=True, slots=True)
class Booked:
    """The answer to one delivery.

    `heads`: one for each registered device that occurs in it, by number. `refused`: (device, seq,
    code) of each record that was rejected or is a fork; device and seq are as claimed, 0 and 0 for
    bytes that do not say whose they are.
    """

    heads: list[Head]
    refused: list[tuple[int, int, int]]


class LedgerStore:
    """The books. One writer at a time; every method is one transaction, or only reads.

    Raises StoreUnavailable (nothing changed, try again) and ConstraintBroken (a bug was stopped)
    of ledger.dialect.
    """

    def __init__(self, database: Dialect) -> None:
        self.database = database
        self.top_ups = TopUps(database)
        self.channel_top_ups = ChannelTopUps(database)
        self.accounts = HolderAccounts(database)
        self.cards = Cards(database)
        self.access = AccessBook(database)
        self.lock_mail = LockMail(database)
        self.code_sales = CodeSales(database)
        self.acquirer_orders = AcquirerOrders(database)
        self.acquirer_statements = AcquirerStatements(database)
        self.code_entries = CodeEntries(database)
        self.attendance = Attendance(database)
        self.tampers = Tampers(database)
        self.aggregate = AggregateSales(database)
        self.reissues = Reissues(database)
        self.carry_overs = CarryOvers(database)
        self.person_numbers = PersonNumbers(database)
        self.loss_reports = LossReports(database)
        self.menus = MenuBook(database)
        self.firmware = FirmwareBook(database)
        self.policies = PolicyBook(database)
        self.operators = Operators(database)
        self.holders = Holders(database)
        self.temporaries = Temporaries(database)
        self.settlements, self.payouts = Settlements(database), Payouts(database)
        self.after_restore = AfterRestore(database)
        self.subsidies = Subsidies(database)
        self.batches = Batches(database)
        self.corrections = Corrections(database)
        self.merchants = Merchants(database)
        self.periods = Periods(database)
        self._accounts: set[int] = set()  # some of those that are there, and stay
        self._read_ahead = ReadAhead(lambda devices: keys_of(database, devices))

    @classmethod
    def open(cls, place: str, password: str | None = None) -> "LedgerStore":
        """The ledger in `place`, its tables made or migrated if need be.

        That is a SQLite file (":memory:" in tests), or a PostgreSQL database ("postgresql://...",
        never with a password in it).
        """
        if not place.startswith(POSTGRESQL):
            return cls(SqliteDialect.open(place))
        # Whoever keeps the books in a file does not wait for the driver of a server.
        from ledger.postgres import PostgresDialect

        return cls(PostgresDialect.open(place, password))

    def close(self) -> None:
        self._read_ahead.close()
        self.database.close()

    # --- the registry --------------------------------------------------------------------------

    def register_merchant(self, merchant_no: int, name: str = "") -> None:
        """Make a merchant and its payable account known. Again, with the same name: nothing."""
        _check_number("merchant", merchant_no)
        with self.database.transaction():
            sql = "SELECT name FROM merchant WHERE merchant_no = ?"
            for known in list(self.database.rows(sql, (merchant_no,))):
                _check_same(f"merchant {merchant_no}", known, (name,))
                return
            self.database.many("INSERT INTO merchant VALUES (?, ?)", [(merchant_no, name)])
            open_accounts(self.database, [(chart.MERCHANT, merchant_no, None)])

    def register_device(
        self, device: int, key: bytes, merchant_no: int, site: str = "campus"
    ) -> None:
        """Make a reader known by its 32-byte key. Again, with the same facts: nothing.

        A key that `rotate_device_key` has replaced is among these facts, and stays replaced.
        """
        self.register_devices([(device, key, merchant_no, site)])

    def register_devices(self, devices: Iterable[tuple[int, bytes, int, str]]) -> None:
        """Register many readers (device, key, merchant_no, site): all of them or none."""
        wanted: dict[int, Row] = {}
        for device, key, merchant_no, site in devices:
            _check_number("device", device)
            if (
                device in (chart.LEDGER_DEVICE, CARD_CENTRE)
                or len(key) != 32
                or not topics.is_site(site)
            ):
                text = "needs a number of its own, a key of 32 bytes and the name of a site"
                raise RegistryError(f"device {device}: {text}")
            facts = bytes(key), merchant_no, site
            _check_same(f"device {device}", wanted.setdefault(device, facts), facts)
        with self.database.transaction():
            keys = keys_of(self.database, wanted)
            for device, *known in list(self.database.rows_of(_DEVICES, _keys(wanted))):
                key, *facts = wanted.pop(device)
                _check_same(f"device {device}", (key in keys[device], known), (True, facts))
            self.database.many(
                "INSERT INTO device (device, merchant_no, site, head_tag) VALUES (?, ?, ?, ?)",
                [(device, *facts, seal.CHAIN_START) for device, (_, *facts) in wanted.items()],
            )
            self._add_keys((device, 0, key) for device, (key, *_) in wanted.items())

    def rotate_device_key(self, device: int, new_key: bytes) -> None:
        """Give a reader its next 32-byte key. Again, with its newest key: nothing.

        What it sealed under the key before is booked until the first record under `new_key` is.
        Raises RegistryError for a device that is not registered and for a key it had before.
        """
        with self.database.transaction():
            keys = keys_of(self.database, [device]).get(device, [])
            if not keys or len(new_key) != 32 or new_key in keys[:-1]:
                text = "only a registered device gets another key, of 32 bytes, and none twice"
                raise RegistryError(f"device {device}: {text}")
            if new_key == keys[-1]:
                return
            if is_retired(self.database, device):
                raise RegistryError(f"device {device}: has ended, and gets no other key")
            self._add_keys([(device, len(keys), bytes(new_key))])

    def speaking_keys(self, device: int, site: str | None) -> list[bytes]:
        """The keys under which a reader of `site` (None: any) may speak, newest first; or [].

        One whose chain has forked may not: whoever has its key is not known. Nor may one that has
        ended.
        """
        sql = (
            "SELECT k.device_key FROM device d JOIN device_key k ON k.device = d.device"
            " WHERE d.device = ? AND d.site = COALESCE(?, d.site) AND d.is_forked = 0"
            f" AND k.key_no >= d.head_key_no AND {IN_USE} ORDER BY k.key_no DESC"
        )
        return [key for (key,) in self.database.rows(sql, (device, site))]

    def keys_at(self, site: str) -> list[tuple[int, bytes]]:
        """(device, key) of each reader of a site: the key that seals its newest record."""
        sql = (
            "SELECT d.device, k.device_key FROM device d JOIN device_key k"
            " ON k.device = d.device AND k.key_no = d.head_key_no WHERE d.site = ?"
            f" AND {IN_USE} ORDER BY d.device"
        )
        return list(self.database.rows(sql, (site,)))

    def _add_keys(self, keys: Iterable[Row]) -> None:
        self.database.many("INSERT INTO device_key VALUES (?, ?, ?)", list(keys))

    def issue_card(self, card_no: int, balance_fen: int) -> None:
        """Open the purse of a card with `balance_fen`. Again, with the same balance: nothing."""
        self.issue_cards([(card_no, balance_fen)])

    def issue_cards(self, cards: Iterable[tuple[int, int]]) -> None:
        """Issue many cards (card_no, balance_fen) in one transaction: all of them or none.

        None beyond the card map: nobody could report it lost.
        """
        wanted: dict[int, int] = {}
        for card_no, balance_fen in cards:
            _check_number("card", card_no, CARD_NO_MAX)
            if balance_fen < 0:
                raise RegistryError(f"card {card_no}: cannot open with {balance_fen} fen")
            _check_same(f"card {card_no}", wanted.setdefault(card_no, balance_fen), balance_fen)
        with self.database.transaction():
            for card_no, opening_fen in list(self.database.rows_of(_CARDS, _keys(wanted))):
                _check_same(f"card {card_no}", opening_fen, wanted.pop(card_no))
            issue(self.database, wanted)

    def know_chips(self, chips: Iterable[tuple[int, bytes]], kind: int = messages.DESFIRE) -> None:
        """Note the UIDs of issued cards (card_no, uid). Again, with the same UID: nothing.

        `kind` of chip: CLASSIC or DESFIRE of protocols.wire.messages.
        """
        wanted = {}
        for card_no, uid in chips:
            _check_same(f"card {card_no}", wanted.setdefault(card_no, uid), uid)
        with self.database.transaction():
            known = {number for number, _ in self.database.rows_of(_CARDS, _keys(wanted))}
            for card_no in wanted.keys() - known:
                raise RegistryError(f"card {card_no}: has a chip and was never issued")
            every = list(self.database.rows("SELECT card_no, uid, kind FROM chip"))
            for card_no, *facts in every:
                if card_no in wanted:
                    _check_same(f"card {card_no}", facts, [wanted.pop(card_no), kind])
            taken = {uid: card_no for card_no, uid, _kind in every}
            for card_no, uid in wanted.items():
                if taken.setdefault(uid, card_no) != card_no:
                    raise RegistryError(f"card {card_no}: its chip is that of {taken[uid]}")
            self.database.many(
                "INSERT INTO chip VALUES (?, ?, ?)",
                [(card_no, uid, kind) for card_no, uid in wanted.items()],
            )

    def chips(self, kind: int = messages.DESFIRE) -> dict[int, bytes]:
        """The UID of each card with a chip of this kind in the register, by card_no."""
        sql = "SELECT card_no, uid FROM chip WHERE kind = ? ORDER BY card_no"
        return dict(self.database.rows(sql, (kind,)))

    def chip(self, card_no: int) -> tuple[int, bytes] | None:
        """(kind, UID) of a card's chip; None if it is not in the register."""
        sql = "SELECT kind, uid FROM chip WHERE card_no = ?"
        for kind, uid in self.database.rows(sql, (card_no,)):
            return kind, uid
        return None

    # --- booking -------------------------------------------------------------------------------

    def book(
        self, deliveries: Sequence[Sequence[bytes]], ahead: Sequence[Sequence[bytes]] = ()
    ) -> list[Booked]:
        """Book what was delivered (sealed records), all in one transaction; an answer to each.

        Any bytes may be delivered, in any order and any number of times. `ahead`: what will be
        booked next, as far as it is there; another core reads it meanwhile. What the database had
        to refuse for others' sake is tried again; StoreUnavailable in the end.
        """
        with without_collection():
            return self._book_and_forget(deliveries, ahead)

    def _book_and_forget(
        self, deliveries: Sequence[Sequence[bytes]], ahead: Sequence[Sequence[bytes]]
    ) -> list[Booked]:
        """So that nothing of it is there when somebody looks for circles again."""
        portion = self._read_ahead.portion(deliveries, ahead)
        for _ in range(TRIES_MAX - 1):
            # Of books that came back from a backup accounts may be gone: they are asked for anew.
            again = (Conflict, ConstraintBroken) if self._accounts else (Conflict,)
            with contextlib.suppress(*again):
                return self._book(deliveries, portion)
        return self._book(deliveries, portion)

    def _book(self, deliveries: Sequence[Sequence[bytes]], portion: Portion) -> list[Booked]:
        known, self._accounts = self._accounts, set()  # who fails believes none of them any more
        with self.database.transaction():
            letters = self.lock_mail.letters_in(portion.one_by_one)
            claims = portion.claims + letters.claims
            book = load_book(self.database, claims, known, portion.runs)
            write_runs(self.database, book)
            changes = decide(claims, book)
            self.lock_mail.note(letters, changes)
            write_changes(self.database, changes, book)
            late.settle(self.database, changes.transfers, book.spoken_of)
        if len(known) <= ACCOUNTS_KEPT:
            self._accounts = known
        return [
            _answer(delivery, devices, book, changes)
            for delivery, devices in zip(deliveries, portion.devices, strict=True)
        ]

    # --- questions -----------------------------------------------------------------------------

    def summary(self) -> dict[str, int]:
        """How many records, booked (spends), pending and unknown (intents), loaded and loading
        (loads), cancelled (sales), cancelling (those that are not known to be committed), reserved
        and sold (payments by code), parked, suspense (cases), overdrawn (accounts), rejected
        (different bytes), duplicates (deliveries)."""
        return {name: next(iter(self.database.rows(sql)))[0] for name, sql in _COUNTS.items()}

    def balances(self) -> dict[tuple[str, int], int]:
        """(kind of account, owner) -> credits minus debits in fen; kinds as in ledger.chart."""
        rows = self.database.rows("SELECT kind, owner, balance_fen FROM account ORDER BY id")
        return {(chart.KIND_NAMES[kind], owner): fen for kind, owner, fen in rows}

    def holder_balance(self, card_no: int) -> int:
        """What the card centre owes the holder of a card, in fen; RegistryError if not issued."""
        sql = "SELECT balance_fen FROM account WHERE id = ?"
        for (balance_fen,) in self.database.rows(sql, (chart.purse(card_no),)):
            return balance_fen
        raise RegistryError(f"card {card_no} was never issued")

    def takings(self, merchant_no: int) -> int:
        """What a merchant took in spends and by codes, in fen, ever; cancelled ones are in it."""
        sql = "SELECT COALESCE(SUM(amount_fen), 0) FROM transfer WHERE credit_account = ?"
        sql += f" AND kind IN ({SPEND}, {CODE_SALE}, {ACQUIRE})"
        ((fen,),) = self.database.rows(sql, (chart.payable(merchant_no),))
        return fen

    def given_back(self, merchant_no: int) -> int:
        """What of a merchant's spends was cancelled, in fen, ever."""
        sql = "SELECT COALESCE(SUM(amount_fen), 0) FROM transfer WHERE debit_account = ?"
        account = chart.payable(merchant_no)
        ((fen,),) = self.database.rows(f"{sql} AND kind = {CANCEL}", (account,))
        return fen

    def heads(self) -> dict[int, int]:
        """Every device's highest booked sequence."""
        return dict(self.database.rows("SELECT device, head_seq FROM device"))

    def booked_ids(self) -> Iterator[tuple[int, int, int, int]]:
        """(device, seq, amount_fen, card_no) of every booked spend, in order of its id."""
        sql = (
            "SELECT t.device, t.seq, t.amount_fen, i.card_no FROM transfer t"
            " JOIN intent i ON i.device = t.device AND i.seq = t.seq"
            f" WHERE t.kind = {SPEND} ORDER BY t.device, t.seq"
        )
        return iter(self.database.rows(sql))

    def cases(self) -> list[tuple[int, int, int]]:
        """(reason, device, seq) of every case, reasons as in ledger.reasons."""
        sql = "SELECT reason, device, seq FROM suspense_case ORDER BY reason, device, seq, sha256"
        return list(self.database.rows(sql))

    def state(self, device: int, seq: int) -> State | None:
        """What is known of the intent (device, seq); None if it is not in the books."""
        sql = "SELECT state FROM intent WHERE device = ? AND seq = ?"
        for (state,) in self.database.rows(sql, (device, seq)):
            return State(state)
        return None

    def dump(self) -> bytes:
        """The books as canonical text: equal books have equal bytes, however they came about."""
        return dump(self.database)


def _answer(
    delivery: Sequence[bytes], numbers: Iterable[int], book: Book, changes: Changes
) -> Booked:
    """`numbers`: of the devices that occur in it."""
    devices = [book.devices[number] for number in sorted(book.devices.keys() & set(numbers))]
    heads = [Head(d.device, d.keys[d.head.key_no], d.head_seq, d.head.tag) for d in devices]
    if changes.of_refused.isdisjoint(numbers):
        return Booked(heads, [])  # nearly always
    hashes = [hashlib.sha256(sealed).digest() for sealed in delivery]
    return Booked(heads, [changes.refused[one] for one in hashes if one in changes.refused])


def _check_number(what: str, number: int, number_max: int = _NUMBER_MAX) -> None:
    if not 0 <= number <= number_max:
        raise RegistryError(f"{what} {number}: numbers are 0 to {number_max}")


def _check_same(what: str, known: Any, wanted: Any) -> None:
    if known != wanted:
        raise RegistryError(f"{what} is registered already, and differently")


def _keys(numbers: Iterable[int]) -> Iterator[Row]:
    return ((number,) for number in numbers)
