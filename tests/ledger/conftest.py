"""The same tests on both databases: with ONECARD_PG=1 these modules run on PostgreSQL as well.

Nothing in a test says which: there `LedgerStore.open` opens a new database for ":memory:", and for
the name of a file one database as long as the module runs.
"""

import os
import weakref

import pytest

from ledger.store import LedgerStore
from tests.ledger.cluster import Cluster
from tools.postgres_server import programs

WITH_POSTGRESQL = os.environ.get("ONECARD_PG") == "1"
ON_BOTH = """
    acquirer any_order audit batches cancels carry_over channel_topups closing code_sales
    constraints corrections debts declines doors dossiers drills entry_stretches firmware
    fleet_state holder_accounts holders lives loads lost_records merchant_signatures money_lists
    operators payments periods phone_apps policies quiescence reconcile reentry reissue_rules
    reissues reopening retention retirement rosters service settlement_basis settlements signatures
    steady_clock subsidies takings temporary typed_signatures verdicts watch
"""
# Not twice: a file of an older version, a property that has a shorter test beside it, statements.
_SQLITE_S_OWN = {
    "test_power_lost_at_any_moment_of_the_filing",
    "test_no_code_stands_in_the_books",
    "test_a_ledger_that_cannot_write_asks_nothing_twice",
    "test_once_whatever_goes_wrong_with_one_request",
    "test_books_of_before_keep_what_was_tried",
    "test_books_of_before_keep_their_statements",
    "test_books_do_not_depend_on_delivery",
    "test_a_twin_cannot_break_the_books_nor_hide",
    "test_stopped_at_any_statement_then_run_again",
    "test_no_proof_while_a_spend_is_missing",
    "test_honest_cards_make_no_imbalance",
    "test_killed_between_approval_and_transfer_and_behind_them",
    "test_a_lost_record_and_the_command",
    "test_stopped_at_any_statement_then_done_again",
    "test_looks_find_what_the_whole_books_say_whatever_arrived_when",
    "test_the_question_reads_one_stretch_of_its_index",
    "test_it_reads_no_transfer_of_another_s_reader",
    "test_no_table_that_knows_a_card_or_a_person_is_left_out",
}
_MODULES = {f"tests.ledger.test_{name}" for name in ON_BOTH.split()}
_MODULES |= {f"tests.ledger.console.test_{name}" for name in ("plans",)}


@pytest.fixture(scope="session")
def postgresql():
    """A server of the tests' own."""
    if not WITH_POSTGRESQL:
        pytest.skip("needs PostgreSQL: make test-pg")
    found = programs()
    if found is None:
        pytest.skip("needs postgresql (Debian package)")
    cluster = Cluster(found)
    yield cluster
    cluster.close()


class _Places:
    """Where the books of one module lie on the server, by the place that its tests name.

    Books in ":memory:" are nobody's any more when their store is gone, and used again.
    """

    def __init__(self, cluster, opening):
        self._cluster = cluster
        self._opening = opening
        self._files = {}
        self._passing = []
        self._free = []

    def open(self, place, password=None):
        if place.startswith("postgresql://"):
            return self._opening(place, password)
        if place != ":memory:":
            known = self._files.get(place)
            return self._opening(known or self._files.setdefault(place, self._new()))
        while self._free:
            url, database = self._free.pop()
            if database._connection.closed:
                database = self._opening(url).database
            if self._cluster.empty(database._connection):
                break
            database.close()
        else:
            url = self._new()
            database = self._opening(url).database
        store = LedgerStore(database)
        weakref.finalize(store, self._gone, url, database)
        return store

    def _new(self):
        self._passing.append(self._cluster.new_books())
        return self._passing[-1]

    def _gone(self, url, database):
        self._free.append((url, database))

    def close(self):
        for _url, database in self._free:
            database.close()
        self._free.clear()
        for url in self._passing:
            self._cluster.drop(url)


@pytest.fixture(scope="module", autouse=True)
def books_on(request):
    """The database under the books of the module's tests."""
    database = getattr(request, "param", "sqlite")
    if database == "sqlite":
        yield database
        return
    opening = LedgerStore.open
    places = _Places(request.getfixturevalue("postgresql"), opening)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LedgerStore, "open", staticmethod(places.open))
        yield database
    places.close()


def pytest_generate_tests(metafunc):
    is_on_both = metafunc.module.__name__ in _MODULES
    if WITH_POSTGRESQL and is_on_both and metafunc.function.__name__ not in _SQLITE_S_OWN:
        databases = ["sqlite", "postgresql"]
        metafunc.parametrize("books_on", databases, indirect=True, scope="module")
