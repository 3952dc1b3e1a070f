"""The ledger's store: the books in a database, and the only place that writes them.

Rules of this file. Whatever changes the books happens in one transaction: read what it can touch
(ledger/loading.py), decide (ledger/booking.py), write (ledger/posting.py). What returned is on the
disk. What differs between databases is in ledger/dialect.py and ledger/schema.py.
"""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ledger import chart, late
from ledger.access import AccessBook
from ledger.aggregate import AggregateSales
from ledger.attendance import Attendance
from ledger.batches import Batches
from ledger.book import Book, Changes
from ledger.booking import decide
from ledger.card_status import Cards
from ledger.carry_over import CarryOvers
from ledger.channel_topups import ChannelTopUps
from ledger.claims import Claim, parse_claim
from ledger.code_entries import CodeEntries
from ledger.code_sales import CodeSales
from ledger.corrections import Corrections
from ledger.dialect import POSTGRESQL, Dialect, Row, SqliteDialect
from ledger.evidence import State
from ledger.firmware import FirmwareBook
from ledger.holder_accounts import HolderAccounts
from ledger.holders import Holders
from ledger.issuing import issue, open_accounts
from ledger.lifecycle_schema import DUMP
from ledger.loading import keys_of, load_book
from ledger.lock_mail import LockMail
from ledger.loss_reports import LossReports
from ledger.menus import MenuBook
from ledger.merchants import Merchants
from ledger.period_schema import DUMP as PERIOD_DUMP
from ledger.periods import Periods
from ledger.person_numbers import PersonNumbers
from ledger.policies import PolicyBook
from ledger.posting import write_changes
from ledger.procedure_schema import DUMP as DUMP_OF_DOSSIERS
from ledger.promises import HAS_ENDED
from ledger.reissues import Reissues
from ledger.reservations import Settled
from ledger.settlements import Settlements
from ledger.tampers import Tampers
from ledger.temporary import Temporaries
from ledger.topups import TopUps
from ledger.transfers import CANCEL, CODE_SALE, SPEND
from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages, seal, topics

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
    "cancelling": "SELECT COUNT(*) FROM cancel c JOIN intent i"
    " ON i.device = c.device AND i.seq = c.intent_seq"
    f" WHERE i.state < {int(State.COMMITTED)}",
    "reserved": f"SELECT COUNT(*) FROM reservation WHERE state = {int(Settled.OPEN)}",
    "sold": f"SELECT COUNT(*) FROM reservation WHERE state = {int(Settled.SOLD)}",
    "parked": "SELECT COUNT(*) FROM parked",
    "suspense": "SELECT COUNT(*) FROM suspense_case",
    "overdrawn": "SELECT COUNT(*) FROM account WHERE overdrawn = 1",
    "rejected": "SELECT COUNT(*) FROM rejected",
    "duplicates": "SELECT total FROM tally WHERE name = 'duplicates'",
}
# Everything but what depends on how often and in which order records came (the tally).
_DUMP = {
    "account": "SELECT id, balance_fen, floor_fen, overdrawn FROM account ORDER BY id",
    "merchant": "SELECT merchant_no, name FROM merchant ORDER BY merchant_no",
    "card": "SELECT card_no, opening_fen, opening_seq FROM card ORDER BY card_no",
    "device": "SELECT device, merchant_no, site, head_seq, head_tag, head_key_no, is_forked"
    " FROM device ORDER BY device",
    "record": "SELECT device, seq, kind, sha256, sealed, key_no FROM record ORDER BY device, seq",
    "parked": "SELECT device, seq, sha256 FROM parked ORDER BY device, seq, sha256",
    "rejected": "SELECT sha256, reason, device, seq FROM rejected ORDER BY sha256, reason",
    "case": "SELECT reason, device, seq, sha256 FROM suspense_case"
    " ORDER BY reason, device, seq, sha256",
    "load": "SELECT number, card_no, amount_fen, order_id, is_loaded FROM load ORDER BY number",
    "channel_topup": "SELECT channel, order_no, number, bank_reference, paid_s, heard_s"
    " FROM channel_topup ORDER BY channel, order_no",
    "topup_cancel": "SELECT number, cancelled_s FROM topup_cancel ORDER BY number",
    "topup_void": "SELECT channel, order_no, voided_s FROM topup_void ORDER BY channel, order_no",
    "cancel": "SELECT device, seq, intent_seq, number FROM cancel ORDER BY device, intent_seq",
    "load_try": "SELECT number, counter, device FROM load_try ORDER BY number, counter, device",
    "load_proof": "SELECT number, counter, balance_fen FROM load_proof ORDER BY number",
    "load_end": "SELECT number FROM load_end ORDER BY number",
    "reissue": "SELECT old_card, new_card, lost_s FROM reissue ORDER BY old_card",
    "intent": "SELECT device, seq, card_no, counter, amount_fen, merchant_no, state, credit_no"
    " FROM intent ORDER BY device, seq",
    "phone": "SELECT card_no, binding FROM phone ORDER BY card_no",
    "reservation": "SELECT number, device, seq, nonce, code, card_no, amount_fen, balance_fen,"
    " asked_s, state, by_person FROM reservation ORDER BY number",
    "code_answer": "SELECT number, device, nonce, code, card_no, asked_s"
    " FROM code_answer ORDER BY number",
    "code_entry": "SELECT number, device, seq FROM code_entry ORDER BY number",
    "validity": "SELECT card_no, kind, valid_from, valid_to FROM card_validity ORDER BY card_no",
    "loss_report": "SELECT code, device, nonce, card_no, lost_s FROM loss_report ORDER BY code",
    "tamper": "SELECT device, seq, state, number FROM tamper ORDER BY device, seq",
    "approval": "SELECT device, seq, step, person FROM approval ORDER BY device, seq, step",
    "aggregate_sale": "SELECT device, seq, merchant_no, amount_fen, earliest_s, latest_s"
    " FROM aggregate_sale ORDER BY device, seq",
    "statement_line": "SELECT channel, order_no, merchant_no, amount_fen, time_s"
    " FROM statement_line ORDER BY channel, order_no",
    "correction": "SELECT number, reason, device, seq, bearer, debit_account, credit_account,"
    " amount_fen, because, person FROM correction ORDER BY number",
    "correction_approval": "SELECT number, person FROM correction_approval ORDER BY number",
    "early_outcome": "SELECT device, seq, intent_device, intent_seq, result"
    " FROM early_outcome ORDER BY device, seq",
    # What it came to: in which order captures of different cards came is no matter of the books.
    "card_status": "SELECT card_no, status FROM card_change c WHERE epoch ="
    " (SELECT MAX(epoch) FROM card_change WHERE card_no = c.card_no) ORDER BY card_no",
    "punch": "SELECT device, seq, card_no, earliest_s, latest_s FROM punch ORDER BY device, seq",
    "access": "SELECT number, device, verb, first_no, count, group_no, periods, person"
    " FROM access_change ORDER BY number",
    "menu": "SELECT number, merchant_no, site, menu, person FROM menu_change ORDER BY number",
    "reader_release": "SELECT device, seq, head_seq, person, because FROM reader_release"
    " ORDER BY number",
    "firmware": "SELECT number, digest, percent, site, person FROM firmware_stage ORDER BY number",
    "policy": "SELECT device, epoch, policy, person FROM policy_change ORDER BY device, epoch",
    "lock_word": "SELECT device, seq, epoch, made_s, battery_mv, heard_s FROM lock_word"
    " ORDER BY device",
    **DUMP,
    **DUMP_OF_DOSSIERS,
    **PERIOD_DUMP,
    "transfer": "SELECT device, seq, line, kind, debit_account, credit_account, amount_fen"
    " FROM transfer ORDER BY device, seq, line",
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
        self.holders = Holders(database)
        self.temporaries = Temporaries(database)
        self.settlements = Settlements(database)
        self.batches = Batches(database)
        self.corrections = Corrections(database)
        self.merchants = Merchants(database)
        self.periods = Periods(database)

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
            if new_key != keys[-1]:
                self._add_keys([(device, len(keys), bytes(new_key))])

    def speaking_keys(self, device: int, site: str | None) -> list[bytes]:
        """The keys under which a reader of `site` (None: any) may speak, newest first; or [].

        One whose chain has forked may not: whoever has its key is not known.
        """
        sql = (
            "SELECT k.device_key FROM device d JOIN device_key k ON k.device = d.device"
            " WHERE d.device = ? AND d.site = COALESCE(?, d.site) AND d.is_forked = 0"
            " AND k.key_no >= d.head_key_no ORDER BY k.key_no DESC"
        )
        return [key for (key,) in self.database.rows(sql, (device, site))]

    def keys_at(self, site: str) -> list[tuple[int, bytes]]:
        """(device, key) of each reader of a site: the key that seals its newest record."""
        sql = (
            "SELECT d.device, k.device_key FROM device d JOIN device_key k"
            " ON k.device = d.device AND k.key_no = d.head_key_no WHERE d.site = ?"
            " ORDER BY d.device"
        )
        return list(self.database.rows(sql, (site,)))

    def _add_keys(self, keys: Iterable[Row]) -> None:
        self.database.many("INSERT INTO device_key VALUES (?, ?, ?)", list(keys))

    def issue_card(self, card_no: int, balance_fen: int) -> None:
        """Open the purse of a card with `balance_fen`. Again, with the same balance: nothing."""
        self.issue_cards([(card_no, balance_fen)])

    def issue_cards(self, cards: Iterable[tuple[int, int]]) -> None:
        """Issue many cards (card_no, balance_fen) in one transaction: all of them or none."""
        wanted: dict[int, int] = {}
        for card_no, balance_fen in cards:
            _check_number("card", card_no)
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

    def book(self, deliveries: Sequence[Sequence[bytes]]) -> list[Booked]:
        """Book what was delivered (sealed records), all in one transaction; an answer to each.

        Any bytes may be delivered, in any order and any number of times.
        """
        with _no_collection():
            return self._book(deliveries)

    def _book(self, deliveries: Sequence[Sequence[bytes]]) -> list[Booked]:
        batches = [[parse_claim(sealed) for sealed in delivery] for delivery in deliveries]
        claims = [claim for batch in batches for claim in batch]
        with self.database.transaction():
            letters = self.lock_mail.letters_in(claims)
            claims += letters.claims
            book = load_book(self.database, claims)
            changes = decide(claims, book)
            self.lock_mail.note(letters, changes)
            write_changes(self.database, changes, book)
            late.settle(self.database, changes.transfers)
        return [_answer(batch, book, changes) for batch in batches]

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
        sql += f" AND kind IN ({SPEND}, {CODE_SALE})"
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
        lines = []
        for table, sql in _DUMP.items():
            lines += [f"{table} {_text(row)}" for row in self.database.rows(sql)]
        return "\n".join([*lines, ""]).encode()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing in the block makes circles of objects; to look for them took a tenth of it."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()


def _answer(batch: list[Claim], book: Book, changes: Changes) -> Booked:
    known = sorted({claim.device for claim in batch} & set(book.devices))
    devices = [book.devices[number] for number in known]
    heads = [Head(d.device, d.keys[d.head.key_no], d.head_seq, d.head.tag) for d in devices]
    refused = [
        (claim.device, claim.seq, changes.refused[claim.sha256])
        for claim in batch
        if claim.sha256 in changes.refused
    ]
    return Booked(heads, refused)


def _check_number(what: str, number: int) -> None:
    if not 0 <= number <= _NUMBER_MAX:
        raise RegistryError(f"{what} {number}: numbers are 0 to {_NUMBER_MAX}")


def _check_same(what: str, known: Any, wanted: Any) -> None:
    if known != wanted:
        raise RegistryError(f"{what} is registered already, and differently")


def _keys(numbers: Iterable[int]) -> Iterator[Row]:
    return ((number,) for number in numbers)


def _text(row: Row) -> str:
    return " ".join(value.hex() if isinstance(value, bytes) else repr(value) for value in row)
