"""Reading what a delivery can touch: a handful of set-based queries, whatever its size.

Run inside the transaction that will write. Nothing is verified yet, so a query is keyed by what
the claims say and never by a range between them: bytes from outside must not make us read a lot.
"""

from collections import defaultdict
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from ledger import chain, chart, doors, reasons
from ledger.acquirer_orders import orders_ahead
from ledger.book import Book, Device, Outcome, RecordId
from ledger.booking import reach
from ledger.cancels import Cancel, numbers_of
from ledger.card_status import changes_of, losses_of
from ledger.chain import Link, fork_link
from ledger.claims import SIGHTING_NUMBERS, Claim, parse_claim
from ledger.dialect import Dialect, Row
from ledger.effects import REACH
from ledger.evidence import COMMITTED, STATES, Intent
from ledger.loads import loads_of
from ledger.made_good import OF_CANCELLED
from ledger.onboarding import held_among
from ledger.reservations import reservations_ahead
from ledger.runs import Run
from ledger.tampers import approved_among
from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages

# In the order of the fields of Intent.
INTENT_COLUMNS = (
    "device, seq, card_no, counter, amount_fen, merchant_no,"
    " last_device, last_seq, earliest_s, latest_s, state, credit_no"
)
_DEVICES = """
WITH k (number) AS (VALUES {keys})
SELECT device, merchant_no, is_forked, head_seq, head_tag, head_key_no,
    EXISTS (SELECT 1 FROM retirement r WHERE r.device = number)
FROM k CROSS JOIN device WHERE device = number"""
_KEYS = """
WITH k (number) AS (VALUES {keys})
SELECT device, device_key
FROM k CROSS JOIN device_key WHERE device = number ORDER BY device, key_no"""
_PARKED = """
WITH k (number) AS (VALUES {keys})
SELECT device, seq, sha256, sealed
FROM k CROSS JOIN parked WHERE device = number ORDER BY device, seq, sha256"""
_RECORDS = """
WITH k (number, place) AS (VALUES {keys})
SELECT device, seq, kind, sha256, sealed, key_no
FROM k CROSS JOIN record WHERE device = number AND seq = place"""
_FORKS = """
WITH k (what, number, place) AS (VALUES {keys})
SELECT device, seq, sealed
FROM k CROSS JOIN suspense_case WHERE reason = what AND device = number AND seq = place"""
_EXPECTED = """
WITH k (number) AS (VALUES {keys})
SELECT number FROM k
WHERE EXISTS (SELECT 1 FROM early_outcome o WHERE o.intent_device = number)"""
_EARLY = """
WITH k (number, place) AS (VALUES {keys})
SELECT device, seq, intent_device, intent_seq, result
FROM k CROSS JOIN early_outcome WHERE intent_device = number AND intent_seq = place"""
_INTENTS = f"""
WITH k (number, place) AS (VALUES {{keys}})
SELECT {INTENT_COLUMNS}
FROM k CROSS JOIN intent WHERE device = number AND seq = place"""
# What saw a card within REACH steps of `step`, where its last record was (mark, place), and can
# hear something new from that, or say it (ledger/evidence.py). Just that record, if it is a spend
# and committed, as nearly always, cannot; nor can what was two steps before, unless it is that.
_INTENTS_OF_CARD = f"""
WITH k (card, step, mark, place) AS (VALUES {{keys}})
SELECT {INTENT_COLUMNS}
FROM k CROSS JOIN intent WHERE card_no = card AND counter BETWEEN step - {REACH} AND step + {REACH}
AND (counter >= step - 1 OR device = mark AND seq = place)
AND NOT (device = mark AND seq = place AND counter < step AND state = {int(COMMITTED)}
    AND credit_no = 0)"""
_TRIES = f"""
WITH k (number) AS (VALUES {{keys}})
SELECT {INTENT_COLUMNS}
FROM k CROSS JOIN intent WHERE credit_no = number AND credit_no > 0"""
_CANCELS = """
WITH k (number, place) AS (VALUES {keys})
SELECT c.device, c.seq, c.intent_seq, c.number
FROM k CROSS JOIN cancel c WHERE c.device = k.number AND c.intent_seq = place"""
_TAKEN = """
WITH k (wanted) AS (VALUES {keys})
SELECT number FROM k CROSS JOIN cancel WHERE number = wanted"""
# By the key of an approval, which begins with the reason.
_MADE_GOOD = """
WITH k (what, reader, place) AS (VALUES {keys})
SELECT a.device, a.seq, p.debit_account, p.amount_fen
FROM k CROSS JOIN correction_approval a CROSS JOIN correction p
WHERE a.reason = what AND a.device = reader AND a.seq = place AND p.number = a.number
ORDER BY p.number"""
_NAMED = f"""
WITH k (wanted) AS (VALUES {{keys}})
SELECT card_no, last_seq
FROM k CROSS JOIN intent WHERE last_seq = wanted AND last_device = {CARD_CENTRE}"""
_ACCOUNTS = """
WITH k (number) AS (VALUES {keys})
SELECT id FROM k CROSS JOIN account WHERE id = number"""
# What speaks of an intent by its record id, and what is one.
_OF_INTENTS = (messages.OUTCOME, messages.CANCEL)
_OF_CARDS = (messages.INTENT, messages.CREDIT)
# Of the numbers of one (ledger/claims.py), in the order of `_place_of`.
_PLACE, _LAST, _MERCHANT = itemgetter(2, 3, 6, 7), itemgetter(6, 7), itemgetter(5)

News = dict[int, list[Claim]]  # by their kind


def load_book(
    database: Dialect, claims: list[Claim], accounts: set[int], runs: Iterable[Run] = ()
) -> Book:
    """The part of the books that booking `claims` and `runs` can touch.

    `accounts`: some of those that are there, which need not be asked for; what is found is added.
    An account stays, whoever has asked for it.
    """
    book = Book(accounts=accounts)
    book.runs = {run.device: run for run in runs}
    numbers = {claim.device for claim in claims}
    _load_devices(database, book, numbers | book.runs.keys())
    heads = [(device.device, device.head_seq) for device in book.devices.values()]
    book.reservations = reservations_ahead(database, heads)
    book.orders = orders_ahead(database, heads)
    parked = list(database.rows_of(_PARKED, ((device,) for device in book.devices)))
    early = _expected(database, book.devices)
    awaited = {device for device, *_ in (*book.reservations, *book.orders, *parked)}
    _take_runs(book, numbers | early | awaited)
    claims = claims + book.unfit
    book.held_back = held_among(database, {c.device for c in claims} - book.devices.keys())
    _load_parked(book, claims, parked)
    # What was parked lies ahead of the head: it repeats nothing, and no fork stands before it. Of
    # a reader that has ended the head stays, and what it follows may be a case.
    kept = [claim for claim in book.due if book.devices[claim.device].has_ended]
    _load_repeated(database, book, claims + kept)
    others = (claim for run in book.runs.values() for claim in run.others)
    news, ahead = _news((*claims, *book.due, *others), book)
    targets = {claim.target for kind in _OF_INTENTS for claim in news[kind]}
    targets -= ahead  # which are not in the books yet
    _load_devices(database, book, {device for device, _seq in targets} - book.devices.keys())
    _load_early(database, book, early, ahead)
    named = {(claim.device, _fields(claim)["number"]) for claim in news[messages.TAMPER]}
    book.approved = approved_among(database, named)
    calls = ((doors.case_of(_fields(claim)), claim.device) for claim in news[messages.DOOR])
    called = {(reason, device) for reason, device in calls if reason is not None}
    book.door_cases = doors.newest_cases(database, called)
    _load_intents(database, book, news, targets)
    return book


def keys_of(database: Dialect, devices: Iterable[int]) -> dict[int, list[bytes]]:
    """The keys of each registered device of `devices`, oldest first."""
    keys: dict[int, list[bytes]] = {}
    for device, device_key in database.rows_of(_KEYS, ((device,) for device in devices)):
        keys.setdefault(device, []).append(device_key)
    return keys


def intent_of(row: Row) -> Intent:
    """The Intent that a row of INTENT_COLUMNS is."""
    intent = Intent(*row, is_stored=True)
    intent.state = STATES[intent.state]
    return intent


def _news(claims: Iterable[Claim], book: Book) -> tuple[News, set[RecordId]]:
    """What registered readers tell behind their heads, and as which records."""
    heads = {number: device.head_seq for number, device in book.devices.items()}
    news: News = defaultdict(list)
    ahead: set[RecordId] = set()
    for claim in claims:
        if claim.seq > heads.get(claim.device, claim.seq):
            news[claim.kind].append(claim)
            ahead.add((claim.device, claim.seq))
    return news, ahead


def _fields(claim: Claim) -> dict[str, Any]:
    return claim.named or {}  # what says its kind has them


def _load_devices(database: Dialect, book: Book, devices: set[int]) -> None:
    numbers = ((device,) for device in devices)
    for device, merchant_no, is_forked, seq, *head, ended in database.rows_of(_DEVICES, numbers):
        found = Device(device, merchant_no, is_forked, seq, Link(*head), has_ended=bool(ended))
        book.devices[device] = found
    for device, device_keys in keys_of(database, book.devices.keys() & devices).items():
        book.devices[device].keys = device_keys


def _take_runs(book: Book, apart: set[int]) -> None:
    """Leave the runs that go on in the books, of readers about whom nothing else is to be done.

    The records of the others are read one by one.
    """
    for number, run in list(book.runs.items()):
        device = book.devices.get(number)
        if device is not None and not device.has_ended and number not in apart:
            if run.goes_on(device.head_seq, device.head, device.keys):
                continue
        del book.runs[number]
        book.unfit += map(parse_claim, run.delivered)


def _load_parked(book: Book, claims: list[Claim], rows: list[Row]) -> None:
    if not rows:
        return
    seqs: dict[int, set[int]] = defaultdict(set)
    for claim in claims:
        seqs[claim.device].add(claim.seq)
    for device, seq, sha256, _sealed in rows:
        book.parked.add((device, seq, sha256))
        seqs[device].add(seq)
    heads = {
        number: reach(device.head_seq, seqs[number]) for number, device in book.devices.items()
    }
    book.due = [
        parse_claim(sealed)
        for device, seq, _sha256, sealed in rows
        if seq <= heads[device] or book.devices[device].has_ended
    ]


def _load_repeated(database: Dialect, book: Book, claims: list[Claim]) -> None:
    booked: set[RecordId] = set()
    forked: set[RecordId] = set()
    for claim in claims:
        device = book.devices.get(claim.device)
        if device is None:
            continue
        is_repeated = claim.seq <= device.head_seq
        if not (is_repeated or device.is_forked or device.has_ended):
            continue  # nearly always
        keys = {(claim.device, claim.seq), (claim.device, claim.seq - 1)}
        if is_repeated:
            booked |= keys
        if device.is_forked or device.has_ended:
            forked |= keys
    _load_records(database, book, booked)
    kept = (reasons.FORK, reasons.TOLD_AFTER_ITS_END)
    keys_of_forks = ((reason, *place) for reason in kept for place in forked)
    for device, seq, sealed in database.rows_of(_FORKS, keys_of_forks):
        book.forks[device, seq].append(fork_link(sealed))


def _load_records(database: Dialect, book: Book, keys: set[RecordId]) -> None:
    for device, seq, kind, sha256, sealed, key_no in database.rows_of(_RECORDS, keys):
        book.hashes[device, seq] = sha256
        book.links[device, seq] = Link(chain.link_of(sealed), key_no)
        if kind == messages.LOST:
            book.lost.add((device, seq))


def _expected(database: Dialect, devices: Iterable[int]) -> set[int]:
    """Those of whose records OUTCOMEs have spoken that came before them."""
    return {number for (number,) in database.rows_of(_EXPECTED, ((d,) for d in devices))}


def _load_early(database: Dialect, book: Book, devices: set[int], keys: set[RecordId]) -> None:
    if not devices:
        return  # nearly always
    for row in database.rows_of(_EARLY, [key for key in keys if key[0] in devices]):
        outcome = Outcome(*row)
        book.early.setdefault((outcome.intent_device, outcome.intent_seq), []).append(outcome)


def _load_intents(database: Dialect, book: Book, news: News, targets: set[RecordId]) -> None:
    for row in database.rows_of(_INTENTS, targets):
        book.add_intent(intent_of(row))
    _load_records(database, book, targets - book.intents.keys())
    new = [claim.numbers for kind in _OF_CARDS for claim in news[kind]]
    new += [numbers for run in book.runs.values() for numbers, _result in run.spends]
    seen = {_place_of(intent) for intent in book.intents.values()}
    seen.update(map(_PLACE, new))
    for row in database.rows_of(_INTENTS_OF_CARD, seen):
        book.add_intent(intent_of(row))
    # What may be found to be committed now says so to whatever saw its card at the same count.
    open_ones = [intent for intent in book.intents.values() if intent.state < COMMITTED]
    for row in list(database.rows_of(_INTENTS_OF_CARD, set(map(_place_of, open_ones)) - seen)):
        book.add_intent(intent_of(row))
    numbers = _load_cancels(database, book, news, open_ones)
    _load_loads(
        database, book, news, numbers | {n for d, n in map(_LAST, new) if d == CARD_CENTRE}
    )
    cards = {card_no for card_no, *_ in seen}
    changes = changes_of(database, cards | {i.card_no for i in book.intents.values()})
    book.spoken_of, book.losses = set(changes), losses_of(changes)
    merchants = {*map(_MERCHANT, new), *(i.merchant_no for i in book.intents.values())}
    asked = (*book.reservations, *book.orders)
    merchants |= {book.devices[device].merchant_no for device, _seq in asked}
    wanted = {*map(chart.payable, merchants), *map(chart.purse, cards)} - book.accounts
    found = database.rows_of(_ACCOUNTS, ((number,) for number in wanted))
    book.accounts.update(number for (number,) in found)


def _place_of(intent: Intent) -> tuple[int, int, int, int]:
    return intent.card_no, intent.counter, intent.last_device, intent.last_seq


def _load_cancels(
    database: Dialect, book: Book, news: News, open_ones: Iterable[Intent]
) -> set[int]:
    """The cancellations of known sales; the numbers of those that may move money now."""
    wanted = {claim.target for claim in news[messages.CANCEL]}
    numbers = {number for sale in wanted for number in numbers_of(*sale)}
    wanted |= {intent.record_id for intent in open_ones}
    for row in database.rows_of(_CANCELS, wanted):
        cancel = Cancel(*row)
        book.cancels[cancel.intent_id] = cancel
        numbers.add(cancel.number)
    keys = [(number,) for number in numbers]
    sales = {*book.cancels, *(claim.target for claim in news[messages.CANCEL])}
    acts = ((reason, *sale) for reason in OF_CANCELLED for sale in sales & book.intents.keys())
    for device, seq, *borne in database.rows_of(_MADE_GOOD, acts):
        book.made_good.setdefault((device, seq), (borne[0], borne[1]))
    book.cancel_numbers = {number for (number,) in database.rows_of(_TAKEN, keys)}
    book.named = {(card_no, number) for card_no, number in database.rows_of(_NAMED, keys)}
    return numbers


def _load_loads(database: Dialect, book: Book, news: News, numbers: set[int]) -> None:
    """The credits that the news or the intents around them speak of, and every try of each.

    `numbers`: of others that are wanted.
    """
    numbers = numbers | {intent.credit_no for intent in book.intents.values() if intent.credit_no}
    numbers |= {claim.numbers[SIGHTING_NUMBERS] for claim in news[messages.CREDIT]}
    book.loads = loads_of(database, numbers)
    for row in list(database.rows_of(_TRIES, ((number,) for number in numbers))):
        book.add_intent(intent_of(row))
