"""The server killed at the worst moments: what is told again is done once.

Between any two statements of a booking stops tests/ledger/test_channel_topups.py; here the process
itself is killed, on both databases.
"""

import signal
import threading

import pytest

from ledger.invariants import check
from ledger.store import LedgerStore
from tests.ledger.api.served import Served, order, settle
from tests.ledger.readers import CARD, OPENING_FEN

# Killed before the n-th commit of a channel's verb, or right behind it.
_KILLED = """
import logging, os, signal, sys
from contextlib import contextmanager
from ledger import channel_topups
from ledger.api import server
from ledger.api.operations import OPERATIONS
logging.basicConfig(level="INFO")

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "inside":
    channel_topups.ChannelTopUps._found = killed  # its last statement
else:
    for verb in ("book", "cancel"):
        real = getattr(channel_topups.ChannelTopUps, verb)
        def done(*arguments, real=real):
            real(*arguments)
            killed()
        setattr(channel_topups.ChannelTopUps, verb, done)
server.run(sys.argv[1])
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """(configuration, where the books are), on either database."""
    if request.param == "sqlite":
        yield settle(tmp_path), str(tmp_path / "books" / "ledger.sqlite")
        return
    cluster = request.getfixturevalue("postgresql")
    url = cluster.new_books()
    yield settle(tmp_path, url), url
    cluster.drop(url)


def held(where):
    """(waits for the card, the bank's account), in books that hold."""
    store = LedgerStore.open(where)
    assert check(store) == []
    balances = store.balances()
    store.close()
    return balances.get(("pending", CARD), 0), balances["clearing", 0] + 2 * OPENING_FEN


def test_killed_inside_and_behind_a_booking(place):
    config, where = place
    asked = None
    for moment, after in (("inside", (0, 0)), ("behind", (5_000, -5_000))):
        served = Served(config, _KILLED, [moment])
        asked = asked or order(served.account())
        with pytest.raises(ConnectionError):
            served.ask("POST", "/v1/topups", asked)
        served.ended()
        assert served.process.returncode == -signal.SIGKILL
        assert held(where) == after
    served = Served(config, _KILLED, ["behind"])
    assert served.ask("GET", "/v1/topups/A-1")[1]["state"] == "waiting"
    with pytest.raises(ConnectionError):
        served.ask("POST", "/v1/topups/A-1/cancel")
    served.ended()
    assert held(where) == (0, 0)
    served = Served(config)
    status, booked = served.ask("POST", "/v1/topups", asked)
    assert (status, booked["number"]) == (200, 1)
    assert served.ask("POST", "/v1/topups/A-1/cancel")[1]["amount_fen"] == 5_000
    assert _together(served, order(asked["account"], order_no="B-1", bank_reference="b")) == 1
    served.close()
    assert held(where) == (5_000, -5_000)


def _together(served, asked):
    """How many different answers a channel gets that asks the same eight times at once."""
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(served.ask("POST", "/v1/topups", asked)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _told in answers] == [200] * 8
    return len({str(told) for _status, told in answers})
