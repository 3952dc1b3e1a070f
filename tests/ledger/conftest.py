"""The same tests on both databases: with ONECARD_PG=1 these modules run on PostgreSQL as well.

Nothing in a test says which: there `LedgerStore.open` opens a new database for ":memory:", and for
the name of a file one database as long as the module runs.
"""

import os

import pytest

from ledger.store import LedgerStore
from tests.ledger.cluster import Cluster, programs

WITH_POSTGRESQL = os.environ.get("ONECARD_PG") == "1"
ON_BOTH = """
    any_order cancels card_status carry_over code_sales constraints credit_desk loads lost_records
    refused_records reissue_rules reissues service tampers verdicts
"""
# What is about SQLite itself in these modules: its errors, a file of an older version.
_SQLITE_S_OWN = {
    "test_books_of_before_keep_what_was_tried",
    "test_history_is_append_only_and_without_gaps",
}
_MODULES = {f"tests.ledger.test_{name}" for name in ON_BOTH.split()}
_KEPT = 8  # databases of ":memory:" that nobody closes go again, oldest first


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
    """Where the books of one module lie on the server, by the place that its tests name."""

    def __init__(self, cluster, opening):
        self._cluster = cluster
        self._opening = opening
        self._files = {}
        self._passing = []

    def open(self, place, password=None):
        if place.startswith("postgresql://"):
            return self._opening(place, password)
        if place == ":memory:":
            url = self._cluster.new_books()
            self._passing.append(url)
            while len(self._passing) > _KEPT:
                self._cluster.drop(self._passing.pop(0))
        else:
            url = self._files.get(place) or self._files.setdefault(
                place, self._cluster.new_books()
            )
        return self._opening(url, password)

    def close(self):
        for url in [*self._passing, *self._files.values()]:
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
