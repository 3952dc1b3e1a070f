"""Grants that end, and who may be told who opened a door: once, by name, and with what for."""

import random
import shutil
from itertools import pairwise

import pytest

from adapters.sqlite import open_database
from ledger.access import AccessBook, AccessRefused
from ledger.access_news import AccessNews
from ledger.access_terms import over
from ledger.dialect import ConstraintBroken, SqliteDialect
from ledger.door_log import MONTH_S, DoorLog, Entry
from ledger.receipts import Signer
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from protocols.rules import access, reasons
from protocols.wire import messages
from tests.ledger.crashes import FaultyConnection, Stopped
from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.test_access import DOOR, LI, NOW_S, OTHER, SITE, WANG, books, group

__all__ = ["books"]  # the fixture
END_S, SEED = NOW_S + 86_400, 471
FIRST = 20_000


def ends_of(store):
    """(grant, change, how many cards) of each end in the books."""
    return list(store.database.rows("SELECT * FROM access_end ORDER BY grant_no, number"))


def test_a_grant_is_over_at_its_end_and_taken_back_once_in_the_name_of_who_gave_it(books):
    grant_no = books.access.grant(DOOR, FIRST, 10, 1, WANG, NOW_S, END_S)
    books.access.appoint("dismiss", SITE, "dorm", WANG, NOW_S + 1)  # it ends all the same
    assert books.access.end_grants(END_S - 1) == []
    assert group(books, FIRST + 9) == 1
    assert books.access.end_grants(END_S) == [(DOOR, grant_no + 1)]
    assert group(books, FIRST) == group(books, FIRST + 9) == 0
    last = books.access.changes(DOOR)[-1]
    assert (last.first_no, last.count, last.group, last.person) == (FIRST, 10, 0, WANG)
    assert books.access.ends(DOOR) == {grant_no + 1: grant_no}
    for now_s in (END_S, END_S + 9, NOW_S):  # again, later, and by a clock that was set back
        assert books.access.end_grants(now_s) == []
    assert books.access.newest() == grant_no + 1


def test_only_who_is_still_in_by_it_leaves(books):
    books.access.grant(DOOR, FIRST, 10, 1, WANG, NOW_S)
    ending = books.access.grant(DOOR, FIRST, 10, 1, WANG, NOW_S, END_S)
    books.access.grant(DOOR, FIRST + 3, 1, 1, WANG, NOW_S)
    books.access.grant(DOOR, FIRST + 5, 2, 0, WANG, NOW_S)
    later = books.access.grant(DOOR, FIRST + 9, 1, 1, WANG, NOW_S, END_S + 60)
    books.access.end_grants(END_S)
    assert [group(books, FIRST + at) for at in range(10)] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert set(books.access.ends(DOOR).values()) == {ending}
    books.access.end_grants(END_S + 60)
    assert group(books, FIRST + 9) == 0 and set(books.access.ends(DOOR).values()) == {
        ending,
        later,
    }


def test_of_whom_nobody_is_left_nothing_changes_and_nobody_looks_again(books):
    grant_no = books.access.grant(DOOR, FIRST, 1, 1, WANG, NOW_S, END_S)
    newest = books.access.grant(DOOR, FIRST, 1, 0, WANG, NOW_S)
    assert books.access.end_grants(END_S) == [] and books.access.newest() == newest
    assert ends_of(books) == [(grant_no, newest, 0)] and books.access.ends(DOOR) == {}


@pytest.mark.parametrize(("group_no", "until_s"), [(1, NOW_S), (1, 0), (1, 1 << 32), (0, END_S)])
def test_an_end_that_cannot_be_is_refused(books, group_no, until_s):
    with pytest.raises(AccessRefused, match="may end, and later than now"):
        books.access.grant(DOOR, FIRST, 1, group_no, WANG, NOW_S, until_s)
    assert books.access.newest() == 0 and books.access.terms(DOOR) == {}


def test_what_is_left_of_a_grant_is_what_a_plain_count_says():
    class Grant:
        def __init__(self, number, first_no, count):
            self.number, self.first_no, self.count = number, first_no, count

    print("seed", SEED)
    draw = random.Random(SEED)
    for _ in range(200):
        grants = [Grant(n, draw.randrange(20), draw.randint(1, 12)) for n in range(1, 7)]
        newest = {}
        for grant in grants:
            newest |= {grant.first_no + at: grant.number for at in range(grant.count)}
        asked = draw.randint(1, 6)
        runs = list(over(grants, asked))
        told = [first_no + at for first_no, count in runs for at in range(count)]
        assert told == sorted(card for card, number in newest.items() if number == asked)
        assert all(a[0] + a[1] < b[0] for a, b in pairwise(runs))


def test_a_ledger_that_runs_takes_back_what_is_over_within_a_minute(books):
    now_s = NOW_S
    signer = Signer(bytes(range(32)))
    news = AccessNews(books.access, signer, lambda: now_s)
    books.access.grant(DOOR, FIRST, 1, 1, WANG, NOW_S, END_S)
    assert news.hint() is not None and news.hint() is None
    now_s = END_S
    assert news.hint() is not None and group(books, FIRST) == 0
    books.access.grant(DOOR, FIRST, 1, 1, WANG, now_s, END_S + 10)
    now_s = END_S + 59
    news.hint()
    assert group(books, FIRST) == 1
    now_s = END_S - 4_000  # the clock was an hour ahead
    news.hint()
    now_s = END_S + 10
    news.hint()
    assert group(books, FIRST) == 0


def test_stopped_at_any_statement_it_is_taken_back_all_the_same(tmp_path):
    def prepared(path):
        store = open_ledger(Reader(DOOR), path=path)
        ((site,),) = store.database.rows("SELECT site FROM device")
        store.issue_cards([(card_no, 0) for card_no in (50, 51, 52)])
        store.access.add_door(DOOR, "dorm", 5000, 0)
        store.access.appoint("appoint", site, "dorm", WANG, NOW_S)
        store.access.grant(DOOR, 50, 3, 1, WANG, NOW_S, END_S)
        store.access.grant(DOOR, 51, 1, 1, WANG, NOW_S)
        return store

    reference = prepared(":memory:")
    reference.access.end_grants(END_S)
    start = tmp_path / "start.sqlite"
    prepared(str(start)).close()
    k, has_fired = 0, True
    while has_fired:
        k += 1
        path = str(tmp_path / f"{k}.sqlite")
        shutil.copy(start, path)
        connection = FaultyConnection(open_database(path, MIGRATIONS), k, Stopped())
        store = LedgerStore(SqliteDialect(connection))
        try:
            store.access.end_grants(END_S)
        except Stopped:
            pass
        has_fired = connection.has_fired
        store.close()
        again = LedgerStore.open(path)
        again.access.end_grants(END_S + 5)
        assert [group(again, card_no) for card_no in (50, 51, 52)] == [0, 1, 0]
        assert ends_of(again) == ends_of(reference) and again.dump() == reference.dump(), k
        again.close()
    assert k > 5


class Meanwhile:
    """A database on which another program acts once, just before a transaction begins."""

    def __init__(self, database, act):
        self._database, self._act = database, act

    def __getattr__(self, name):
        return getattr(self._database, name)

    def transaction(self):
        act, self._act = self._act, lambda: None
        act()
        return self._database.transaction()


def test_two_programs_that_look_at_once_take_it_back_once(books):
    grant_no = books.access.grant(DOOR, FIRST, 2, 1, WANG, NOW_S, END_S)
    other = AccessBook(Meanwhile(books.database, lambda: books.access.end_grants(END_S)))
    assert other.end_grants(END_S) == []
    assert (
        ends_of(books) == [(grant_no, grant_no + 1, 2)] and books.access.newest() == grant_no + 1
    )


# --- who opened it -------------------------------------------------------------------------------


def opened(reader, card_no, earliest_s, latest_s=None, reason=reasons.APPROVED):
    latest_s = earliest_s if latest_s is None else latest_s
    when = {"earliest_s": earliest_s, "latest_s": latest_s}
    reader.write(messages.ENTRY, card_no=card_no, reason=reason, **when)


def log_of(*readers, path=":memory:"):
    """Books with these doors, WANG appointed; the first card is a person's."""
    store = open_ledger(*readers, path=path)
    store.book([reader.records for reader in readers])
    ((site,),) = store.database.rows("SELECT DISTINCT site FROM device")
    for reader in readers:
        store.access.add_door(reader.device, "dorm", 5000, 0)
    store.access.appoint("appoint", site, "dorm", WANG, NOW_S)
    return store


def test_who_asks_is_told_what_was_or_may_have_been_in_that_time():
    door, other = Reader(DOOR), Reader(OTHER)
    opened(door, CARD, NOW_S - 1)
    opened(door, CARD, NOW_S)
    opened(door, 99, 0, 0xFFFFFFFF)  # between its neighbours, by their order
    opened(door, CARD, NOW_S + 50, NOW_S + 70, access.DURESS)
    opened(door, CARD, NOW_S + 60)
    opened(other, CARD, NOW_S + 5)
    store = log_of(door, other)
    found = DoorLog(store.database).ask(DOOR, (NOW_S, NOW_S + 60), "a wallet", WANG, NOW_S + 99)
    assert found == [
        Entry(2, NOW_S, NOW_S, CARD, reasons.APPROVED),
        Entry(3, NOW_S, NOW_S + 60, 99, reasons.APPROVED),
        Entry(4, NOW_S + 50, NOW_S + 60, CARD, access.DURESS),
    ]
    (question,) = DoorLog(store.database).questions()
    assert (question.device, question.from_s, question.to_s) == (DOOR, NOW_S, NOW_S + 60)
    assert (question.purpose, question.person, question.time_s) == ("a wallet", WANG, NOW_S + 99)


@pytest.mark.parametrize(
    ("device", "span_s", "purpose", "person", "said"),
    [
        (DOOR, (0, 60), "a wallet", LI, "has not been appointed for dorm doors"),
        (9999, (0, 60), "a wallet", WANG, "device 9999 is no door"),
        (DOOR, (0, 60), "", WANG, "the purpose"),
        (DOOR, (0, 60), " ", WANG, "the purpose"),
        (DOOR, (0, 60), "a\nb", WANG, "the purpose"),
        (DOOR, (0, 60), "a" * 65, WANG, "the purpose"),
        (DOOR, (60, 60), "a wallet", WANG, "31 days at most"),
        (DOOR, (0, MONTH_S + 1), "a wallet", WANG, "31 days at most"),
        (DOOR, (-1, 60), "a wallet", WANG, "31 days at most"),
    ],
)
def test_who_may_not_ask_is_told_nothing(device, span_s, purpose, person, said):
    log = DoorLog(log_of(Reader(DOOR)).database)
    with pytest.raises(AccessRefused, match=said):
        log.ask(device, span_s, purpose, person, NOW_S)
    assert log.questions() == []


def test_nothing_is_told_that_is_not_noted(tmp_path):
    door = Reader(DOOR)
    opened(door, CARD, NOW_S)
    path = str(tmp_path / "books.sqlite")
    log_of(door, path=path).close()
    k, told = 0, []
    while not told:
        k += 1
        database = SqliteDialect(FaultyConnection(open_database(path, MIGRATIONS), k, Stopped()))
        try:
            told = DoorLog(database).ask(DOOR, (NOW_S, NOW_S + 1), "a wallet", WANG, NOW_S + k)
        except Stopped:
            pass
        database.close()
    after = LedgerStore.open(path)
    assert DoorLog(after.database).questions()[-1].time_s == NOW_S + k > NOW_S + 4
    after.close()


def test_a_question_is_never_changed_and_needs_its_purpose_in_the_database_too():
    store = log_of(Reader(DOOR))
    DoorLog(store.database).ask(DOOR, (0, 60), "a wallet", WANG, NOW_S)
    for sql in (
        "UPDATE access_question SET purpose = 'another'",
        "DELETE FROM access_question",
        f"INSERT INTO access_question VALUES (2, {DOOR}, 0, 60, '', 'x', 1)",
        f"INSERT INTO access_question VALUES (2, {DOOR}, 60, 0, 'x', 'x', 1)",
        "INSERT INTO access_end VALUES (1, 2, 1)",
        "INSERT INTO access_term VALUES (99, 5)",
    ):
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.rows(sql)
