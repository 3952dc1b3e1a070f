"""One console on one set of books for the tests that only look; browsers for those that click."""

import pytest

from tests.desk.conftest import chromium, open_page
from tests.ledger.console.campus import Console, books_in, configure

__all__ = ["chromium", "open_page"]


@pytest.fixture(scope="module")
def campus(tmp_path_factory):
    """(console, store) for a module; the store is the test's own connection."""
    folder = tmp_path_factory.mktemp("console")
    config = configure(folder)
    store = books_in(folder)
    console = Console(config)
    yield console, store
    log = console.close()
    store.close()
    assert "Traceback" not in log, log
