"""What is PostgreSQL's own: its migrations, roles, refusals, and a server that is killed."""

import os
import re
import subprocess
import sys
import threading

import psycopg
import pytest
from typer.testing import CliRunner

from adapters import postgres
from adapters.sqlite import NotDurable, SchemaTooNew
from ledger import chart, postgres_schema
from ledger.dialect import ConstraintBroken, SchemaTooOld, StoreUnavailable
from ledger.growth_schema import ROWS_AT_THE_END
from ledger.invariants import check
from ledger.issuing import open_accounts
from ledger.postgres import PostgresDialect, migrate
from ledger.schema import APPEND_ONLY, MIGRATIONS
from ledger.service import LedgerService
from ledger.store import LedgerStore
from protocols.wire import cbor, topics
from tests.ledger.cluster import Cluster
from tests.ledger.desk import Desk
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, Reader, forward
from tests.ledger.test_faults import deliveries
from tools.cli import app

ROLE = "ledger_service"
HASH = bytes(32)


@pytest.fixture
def url(postgresql):
    """An empty database."""
    url = postgresql.new_database()
    yield url
    postgresql.drop(url)


def ledger(url, *readers):
    store = LedgerStore.open(url)
    store.register_merchant(CANTEEN, "Canteen")
    for reader in readers:
        store.register_device(reader.device, reader.key, CANTEEN)
    store.issue_card(CARD, OPENING_FEN)
    return store


def run(url, sql):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql)


# --- migrations ------------------------------------------------------------------------------


def test_every_migration_is_a_revision_of_its_number(repo_root):
    """Runs without a server: whoever adds a migration adds the file that Alembic finds."""
    folder = repo_root / "ledger" / "migrations" / "versions"
    names = sorted(path.name for path in folder.glob("r*.py"))
    assert [int(name[1:5]) for name in names] == list(range(1, len(MIGRATIONS) + 1))
    for number, name in enumerate(names, 1):
        text = (folder / name).read_text()
        before = f'"{number - 1:04d}"' if number > 1 else "None"
        assert f'revision, down_revision = "{number:04d}", {before}\n' in text, name
        assert f"exec_driver_sql(migration({number}))" in text, name


@pytest.mark.parametrize("number", range(1, len(MIGRATIONS) + 1))
def test_a_migration_is_translated_whole(number):
    """Runs without a server: no word of SQLite is left, and no trigger was passed over."""
    script = postgres_schema.migration(number)
    assert not re.search(r"STRICT|ROWID|\bBLOB\b|RAISE\(|PRAGMA|zeroblob|\bINTEGER\b", script)
    triggers = MIGRATIONS[number - 1].count("CREATE TRIGGER")
    if MIGRATIONS[number - 1] == ROWS_AT_THE_END:  # PostgreSQL's tables have always been so
        assert script == "-- nothing\n"
        return
    assert script.count("FOR EACH ROW EXECUTE") == triggers


def test_books_of_any_version_are_led_to_the_newest(url):
    """With data from the first version on; the second moves it, the seventh counts it."""
    for number in range(1, len(MIGRATIONS) + 1):
        migrate(url, to=number)
        if number == 1:
            run(
                url,
                f"""INSERT INTO device VALUES (1001, '\\x{"07" * 32}', 12, 'campus', 0,
                    '\\x{"00" * 32}', 0);
                INSERT INTO card VALUES ({CARD}, 0, 0);
                INSERT INTO record VALUES (1001, 1, 1, '\\x{"00" * 32}', '\\x01')""",
            )
        if number == 4:
            pending = 6 * 4294967296 + CARD
            run(
                url,
                f"""INSERT INTO account VALUES ({pending}, 6, {CARD}, 700, 0, 0);
                INSERT INTO load VALUES (1, {CARD}, 500, 'a'), (2, {CARD}, 200, 'b');
                INSERT INTO load_try VALUES (1, 4, 1001)""",
            )
    database = PostgresDialect.open(url)
    assert database.version() == len(MIGRATIONS)
    assert list(database.rows("SELECT * FROM device_key")) == [(1001, 0, b"\x07" * 32)]
    assert list(database.rows("SELECT seq, sealed, key_no FROM record")) == [(1, b"\x01", 0)]
    assert list(database.rows("SELECT floor_fen FROM account WHERE kind = 6")) == [(500,)]
    database.close()


def test_a_migration_that_fails_leaves_the_version_before(url):
    migrate(url, to=3)
    run(url, "CREATE TABLE reservation (is_in_the_way BIGINT)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        migrate(url)
    run(url, "DROP TABLE reservation")
    database = PostgresDialect(url)
    assert database.version() == 3
    database.close()
    PostgresDialect.open(url).close()


def test_two_programs_that_migrate_one_database_wait_for_each_other(url):
    failed = []

    def one():
        try:
            PostgresDialect.open(url).close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test says it
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_tables_of_a_newer_program_are_not_touched(url):
    PostgresDialect.open(url).close()
    run(url, f"UPDATE alembic_version SET version_num = '{len(MIGRATIONS) + 1:04d}'")
    with pytest.raises(SchemaTooNew, match="install the newer program"):
        PostgresDialect.open(url)


# --- who may do what -------------------------------------------------------------------------


def test_the_service_s_role_books_and_can_change_no_journal(postgresql, url):
    reader = Reader(1001)
    reader.spend()
    ledger(url, reader).close()
    run(url, f"CREATE ROLE {ROLE} LOGIN")
    run(url, postgres_schema.grants(ROLE))
    name = url.partition("?")[0].rpartition("/")[2]
    store = LedgerStore.open(postgresql.url(name, ROLE))
    store.book([reader.records, [b"noise"]])
    assert store.takings(CANTEEN) == 100
    assert check(store) == []
    for table in APPEND_ONLY:
        for sql in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with pytest.raises(ConstraintBroken, match="permission denied"):
                store.database.rows(sql)
        with pytest.raises(ConstraintBroken, match="permission denied"):
            column = next(iter(store.database.rows(_A_COLUMN, (table,))))[0]
            store.database.rows(f"UPDATE {table} SET {column} = NULL")
    store.close()
    run(url, f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


_A_COLUMN = """
SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum = 1"""


def test_the_owner_is_stopped_by_the_triggers(url):
    reader = Reader(1001)
    reader.spend()
    store = ledger(url, reader)
    store.book([reader.records])
    for sql in ("DELETE FROM transfer", "TRUNCATE transfer", "UPDATE transfer SET amount_fen = 1"):
        with pytest.raises(ConstraintBroken, match="transfer is append-only"):
            store.database.rows(sql)
    store.close()


def test_every_table_is_either_a_journal_or_may_be_changed(url):
    database = PostgresDialect.open(url)
    sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    tables = {name for (name,) in database.rows(sql)} - {"alembic_version"}
    assert tables == {*APPEND_ONLY, *postgres_schema._CHANGED.split()}
    database.close()


def test_old_tables_of_another_owner_are_told_of(postgresql, url):
    migrate(url, to=2)
    run(url, "CREATE ROLE visitor LOGIN")
    run(url, "GRANT SELECT ON alembic_version TO visitor")
    name = url.partition("?")[0].rpartition("/")[2]
    with pytest.raises(SchemaTooOld, match="onecard ledger migrate"):
        PostgresDialect.open(postgresql.url(name, "visitor"))
    run(url, "DROP OWNED BY visitor; DROP ROLE visitor")


# --- the same books -------------------------------------------------------------------------


def test_the_same_deliveries_make_the_same_bytes_as_in_sqlite(url):
    readers, batches = deliveries()
    dumps = []
    for place in (":memory:", url):
        store = LedgerStore.open(place)
        store.register_merchant(CANTEEN, "Mensa \u9910\u5385")
        for reader in readers:
            store.register_device(reader.device, reader.key, CANTEEN)
        store.issue_cards([(CARD, OPENING_FEN), (CARD + 1, 0)])
        store.top_ups.top_up(CARD, 700, "Zz-1")
        store.top_ups.top_up(CARD + 1, 700, "aa-1")
        for batch in batches:
            store.book(batch)
        assert check(store) == []
        dumps.append(store.dump())
        store.close()
    assert dumps[0] == dumps[1]
    assert len(dumps[0].splitlines()) > 40


# --- values and refusals ---------------------------------------------------------------------


def test_sums_are_whole_numbers_and_a_fraction_is_none(url):
    database = PostgresDialect(url)
    ((total,),) = database.rows("SELECT SUM(n) FROM (VALUES (?), (?)) v (n)", (2**62, 2**62))
    assert type(total) is int
    assert total == 2**63
    with pytest.raises(ValueError, match="invalid literal"):
        list(database.rows("SELECT 0.5"))
    database.close()


def test_a_float_is_refused_and_not_rounded(url):
    store = ledger(url)
    for row in ((99, 1.5), (99, None)):
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.many("INSERT INTO load_end VALUES (?)", [row[1:]])
    with pytest.raises(ConstraintBroken, match=r"1\.5 is no whole number"):
        store.database.rows("SELECT 1 FROM account WHERE id = ?", (1.5,))
    store.close()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ((1001, 2, 1, HASH, b"", 1.5), "interpreted as an integer"),
        ((1001, 2**63, 1, HASH, b"", 0), "too big"),
        ((1001, 2, 1, HASH, "text", 0), "bytes or buffer expected"),
        ((1001, 2, 1, HASH, b""), "expected 6 values"),
        ((1001, 2, 1, HASH, None, 0), "violates not-null"),
        ((1001, 2, 1, b"short", b"", 0), "check constraint"),
        ((1001, 1, 1, HASH, b"", 0), "already exists"),
        ((1002, 1, 1, HASH, b"", 0), "speaks of no device"),
    ],
)
def test_one_copied_row_that_may_not_be_takes_all_with_it(url, wrong, says):
    store = ledger(url, Reader(1001))
    right = 1001, 1, 1, HASH, b"", 0
    before = store.dump()
    with pytest.raises(ConstraintBroken, match=says), store.database.transaction():
        store.database.insert("record", [right, wrong])
    assert store.dump() == before
    with store.database.transaction():  # the connection is as good as it was
        store.database.insert("record", [right])
    assert store.summary()["records"] == 1
    store.close()


@pytest.mark.parametrize("side", ["debit", "credit"])
def test_a_transfer_of_an_account_that_is_not_there_is_refused(url, side):
    store = ledger(url)
    known, unknown = chart.purse(CARD), chart.purse(CARD + 7)
    accounts = (unknown, known) if side == "debit" else (known, unknown)
    broken = pytest.raises(ConstraintBroken, match="speaks of no account")
    with broken, store.database.transaction():
        store.database.insert("transfer", [(1001, 1, 0, 1, *accounts, 5)])
    store.close()


def test_what_is_reserved_is_never_below_nothing(url):
    store = ledger(url)
    move = "UPDATE account SET balance_fen = balance_fen + ? WHERE id = ?"
    with store.database.transaction():
        open_accounts(store.database, [(chart.RESERVED, CARD, None)])
        store.database.update(move, [(700, chart.reserved(CARD))])
    broken = pytest.raises(ConstraintBroken, match="what is reserved is never below nothing")
    with broken, store.database.transaction():
        store.database.update(move, [(-701, chart.reserved(CARD))])
    assert store.balances()["reserved", CARD] == 700
    store.close()


def test_two_updates_of_one_row_are_not_taken_for_one(url):
    store = ledger(url)
    sql = "UPDATE account SET balance_fen = balance_fen + ? WHERE id = ?"
    rows = [(5, chart.purse(CARD)), (7, chart.purse(CARD))]
    broken = pytest.raises(ConstraintBroken, match="2 rows has changed 1")
    with broken, store.database.transaction():
        store.database.update(sql, rows)
    assert store.holder_balance(CARD) == OPENING_FEN
    store.close()


def test_a_server_that_does_not_write_is_refused(postgresql, url):
    try:
        postgresql.set_and_reload("ALTER SYSTEM SET fsync = off", "fsync", "off")
        with pytest.raises(NotDurable, match="fsync off"):
            PostgresDialect.open(url)
    finally:
        postgresql.set_and_reload("ALTER SYSTEM RESET fsync", "fsync", "on")


def test_another_writer_is_waited_for_and_then_told_of(url, monkeypatch):
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT_MS", 100)
    reader = Reader(1001)
    reader.spend()
    store = ledger(url, reader)
    before = store.dump()
    with psycopg.connect(url) as other:
        other.execute(postgres_schema.LOCK_WRITER)
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            store.book([reader.records])
    assert store.dump() == before
    store.book([reader.records])
    assert store.takings(CANTEEN) == 100
    store.close()


def test_two_writers_of_one_card_do_not_book_past_each_other(url):
    """Each tells of the card's next debit, which is the verdict on the other's."""
    readers = [Reader(1001 + number) for number in range(2)]
    ledger(url, *readers).close()
    for step in range(20):
        first, second = readers if step % 2 else reversed(readers)
        last = first.intent(counter=2 * step + 1, amount_fen=1)
        second.intent(counter=2 * step + 2, amount_fen=1, last=last)
    stores = [LedgerStore.open(url) for _ in readers]

    def book(store, reader):
        for at in range(reader.seq):
            store.book([reader.records[at : at + 1]])

    threads = [
        threading.Thread(target=book, args=pair) for pair in zip(stores, readers, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert check(stores[0]) == []
    assert stores[0].heads() == {1001: 20, 1002: 20}
    assert stores[0].summary()["booked"] >= 20
    for store in stores:
        store.close()


# --- the commands ----------------------------------------------------------------------------

_CONFIG = """
data_dir = "books"
database = "{url}"
{more}signing_key_file = "signing.key"
[broker]
"""


def onecard(*words):
    return CliRunner().invoke(app, ["ledger", *map(str, words)])


def test_commands_take_the_configuration_in_the_place_of_a_file(url, tmp_path):
    path = tmp_path / "ledger.toml"
    path.write_text(_CONFIG.format(url=url, more=""))
    words = "topup", path, "--card", CARD, "--fen", 500, "--order", "A-1"
    early = onecard(*words)
    assert early.exit_code == 2
    assert f"has schema 0, this program reads {len(MIGRATIONS)}" in early.output
    assert onecard("migrate", url).exit_code == 0
    ledger(url).close()
    for _ in range(2):
        done = onecard(*words)
        assert (done.exit_code, done.output) == (0, f"credit 1: 500 fen wait for card {CARD}\n")
    assert onecard("forks", path).output == "No card contradicts itself.\n"


def test_the_owner_lets_the_service_in(postgresql, url):
    assert onecard("migrate", url, "--service-role", "no;body").exit_code == 2
    assert "does not exist" in onecard("migrate", url, "--service-role", "nobody_here").output
    run(url, "CREATE ROLE served LOGIN")
    assert onecard("migrate", url, "--service-role", "served").exit_code == 0
    name = url.partition("?")[0].rpartition("/")[2]
    ledger(postgresql.url(name, "served")).close()
    run(url, "DROP OWNED BY served; DROP ROLE served")


def test_a_server_that_is_not_there_is_told_of(tmp_path):
    path = tmp_path / "ledger.toml"
    path.write_text(_CONFIG.format(url=f"postgresql://me@/books?host={tmp_path}", more=""))
    done = onecard("forks", path)
    assert done.exit_code == 2
    assert "No such file" in done.output


def test_the_password_is_in_a_file_that_only_its_owner_reads(postgresql, url, tmp_path):
    """And in no URL; that the server asks for it here is what a wrong one shows."""
    PostgresDialect.open(url).close()
    run(url, "CREATE ROLE knocks LOGIN PASSWORD 'open sesame'")
    run(url, postgres_schema.grants("knocks"))
    name = url.partition("?")[0].rpartition("/")[2]
    place = postgresql.url(name, "knocks")
    config = tmp_path / "ledger.toml"
    secret = tmp_path / "db.password"
    config.write_text(_CONFIG.format(url=place, more='database_password_file = "db.password"\n'))
    with postgresql.asking_for_password("knocks"):
        for text, mode, said in (
            ("open sesame\n", 0o600, "No card contradicts itself"),
            ("wrong", 0o600, "password authentication failed"),
            ("open sesame", 0o640, "others may read it"),
        ):
            secret.write_text(text)
            secret.chmod(mode)
            done = onecard("forks", config)
            assert said in done.output
            assert "sesame" not in done.output
    run(url, "DROP OWNED BY knocks; DROP ROLE knocks")


# --- killed ----------------------------------------------------------------------------------

_BOOKS_UNTIL_KILLED = """
import sys
from ledger.dialect import StoreUnavailable
from ledger.service import LedgerService
from ledger.store import LedgerStore
from protocols.wire import cbor, topics
from tests.ledger.readers import Reader

store = LedgerStore.open(sys.argv[1])
reader = Reader(1001)
for counter in range(1, 2001):
    reader.spend(counter=counter, amount_fen=1)
    try:
        (answer,) = store.book([reader.records[-2:]])
    except StoreUnavailable:
        print("unavailable", flush=True)
        break
    print(answer.heads[0].seq, flush=True)
"""


@pytest.fixture
def own_server(postgresql):
    """A server that may be killed: not that of the other tests."""
    cluster = Cluster(postgresql.programs)
    yield cluster
    cluster.close()


@pytest.mark.parametrize("victim", ["ledger", "postgresql"])
def test_killed_in_the_middle_nothing_acknowledged_is_lost(own_server, repo_root, victim):
    url = own_server.new_database()
    reader = Reader(1001)
    ledger(url, reader).close()
    child = subprocess.Popen(
        [sys.executable, "-c", _BOOKS_UNTIL_KILLED, url],
        env=os.environ | {"PYTHONPATH": str(repo_root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    said = [child.stdout.readline() for _ in range(40)]
    if victim == "ledger":
        child.kill()
    else:
        own_server.kill()
    rest = child.communicate(timeout=60)[0].splitlines()
    if victim == "postgresql":
        own_server.start()
        assert rest[-1].strip() == "unavailable"
    acknowledged = [int(line) for line in [*said, *rest] if line.strip().isdigit()]
    store = LedgerStore.open(url)
    assert store.heads()[1001] >= acknowledged[-1] >= 80
    assert store.heads()[1001] % 2 == 0, "half of a delivery was booked"
    assert check(store) == []
    for counter in range(1, 2001):
        reader.spend(counter=counter, amount_fen=1)
    store.book([reader.records])
    assert store.takings(CANTEEN) == 2000
    store.close()


def test_a_ledger_goes_on_when_its_server_is_back(own_server):
    url = own_server.new_database()
    reader = Reader(1001)
    reader.spend()
    store = ledger(url, reader)
    own_server.kill()
    for _ in range(2):  # the connection has broken, and then there is no server
        with pytest.raises(StoreUnavailable):
            store.book([reader.records])
        with pytest.raises(StoreUnavailable):
            store.heads()
    own_server.start()
    store.book([reader.records])
    assert store.takings(CANTEEN) == 100
    assert check(store) == []
    store.close()


def test_a_service_outlives_its_server_and_acknowledges_what_is_booked(own_server):
    """A receipt only behind the commit; a question meanwhile is dropped, and nothing falls."""
    url = own_server.new_database()
    reader = Reader(1001)
    reader.spend()
    desk = Desk()
    service = LedgerService(ledger(url, reader), desk, bytes(32), lambda: 0, with_cards=True)
    service.step(0)
    own_server.kill()
    delivery = desk.deliver("campus", forward("campus", 1, reader.records))
    question = desk.deliver("campus", cbor.encode(0), topic=topics.cards_up("campus"))
    service.step(60_000)
    assert desk.receipts("campus") == []
    assert ("ack", question.mid) in desk.log
    assert ("ack", delivery.mid) not in desk.log
    assert service.counters["store_unavailable"] >= 2
    own_server.start()
    service.step(120_000)
    assert len(desk.receipts("campus")) == 1
    assert ("ack", delivery.mid) in desk.log
    store = LedgerStore.open(url)
    assert store.takings(CANTEEN) == 100
    assert check(store) == []
    store.close()
