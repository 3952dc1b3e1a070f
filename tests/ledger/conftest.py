"""The same tests on both databases: with ONECARD_PG=1 these modules run on PostgreSQL as well.

Nothing in a test says which: there `LedgerStore.open` opens a new database for ":memory:", and for
the name of a file one database as long as the module runs.
"""

import os
import weakref

import pytest
from hypothesis import settings

from ledger.store import LedgerStore
from tests.ledger.cluster import Cluster, programs

WITH_POSTGRESQL = os.environ.get("ONECARD_PG") == "1"
ON_BOTH = """
    any_order cancels carry_over code_sales constraints loads lost_records refused_records
    reissue_rules reissues service tampers verdicts
"""
# What is about SQLite itself in these modules: its errors, a file of an older version.
_SQLITE_S_OWN = {
    "test_books_of_before_keep_what_was_tried",
}
_EXAMPLES = 15  # of a property: what differs between databases needs no more
_MODULES = {f"tests.ledger.test_{name}" for name in ON_BOTH.split()}


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
            database = self._free.pop()
            if self._cluster.empty(database._connection):
                break
            database.close()
        else:
            database = self._opening(self._new()).database
        store = LedgerStore(database)
        weakref.finalize(store, self._gone, database)
        return store

    def _new(self):
        self._passing.append(self._cluster.new_books())
        return self._passing[-1]

    def _gone(self, database):
        if not database._connection.closed:
            self._free.append(database)

    def close(self):
        for database in self._free:
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
        name = settings.get_current_profile_name()
        fewer = {"parent": settings.get_profile(name), "max_examples": _EXAMPLES}
        settings.register_profile("postgresql", **fewer)
        settings.load_profile("postgresql")
        yield database
        settings.load_profile(name)
    places.close()


def pytest_generate_tests(metafunc):
    is_on_both = metafunc.module.__name__ in _MODULES
    if WITH_POSTGRESQL and is_on_both and metafunc.function.__name__ not in _SQLITE_S_OWN:
        databases = ["sqlite", "postgresql"]
        metafunc.parametrize("books_on", databases, indirect=True, scope="module")
