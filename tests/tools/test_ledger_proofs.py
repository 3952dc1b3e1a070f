"""`onecard ledger proofs`: what it says of good and bad books, and what it never says."""

import json

import pytest
from typer.testing import CliRunner

from ledger.store import LedgerStore
from protocols.wire import messages
from simulator.torture.tap_window import AWAY, CARD_NO, DESFIRE_UID, KEYS
from tests.ledger.test_card_proofs import SALES, books, lunch, rewritten
from tools.cli import app


def onecard(*words):
    return CliRunner().invoke(app, ["ledger", "proofs", *map(str, words)])


@pytest.fixture
def key_file(tmp_path):
    masters = vars(KEYS.desfire)
    lines = [f'{name}_key = "{key.hex()}"' for name, key in masters.items()]
    path = tmp_path / "keys.toml"
    path.write_text("\n".join([*lines, f'mac_key = "{KEYS.mac.hex()}"', "key_version = 1"]))
    path.chmod(0o600)
    return path


@pytest.fixture
def database(tmp_path, monkeypatch):
    """The books of a lunch, in a file; `lie` is what a reader changes in its intents."""

    def made(lie=None):
        records = lunch(SALES)
        if lie:
            change = lambda f: lie(f) if f["kind"] == messages.INTENT else None  # noqa: E731
            records[AWAY] = rewritten(records[AWAY], change)
        path = tmp_path / "ledger.sqlite"
        opening = LedgerStore.open
        monkeypatch.setattr(LedgerStore, "open", lambda _: opening(str(path)))
        store = books(records)
        store.know_chips([(CARD_NO, DESFIRE_UID)])
        store.close()
        return path

    return made


def test_good_books(database, key_file):
    done = onecard(database(), "--keys", key_file)
    assert (done.exit_code, done.stdout) == (
        0,
        f"debits that their cards vouch for: {len(SALES)}\n",
    )


def test_a_lie_is_told_with_its_record(database, key_file):
    path = database(lambda fields: {"earliest_s": fields["earliest_s"] - 60})
    done = onecard(path, "--keys", key_file)
    assert done.exit_code == 1
    assert f"card {CARD_NO} at counter 1" in done.stdout and f"record {AWAY}/" in done.stdout
    found = json.loads(onecard(path, "--keys", key_file, "--json").stdout)
    assert found["proven"] == 2
    assert {one["device"] for one in found["findings"]} == {AWAY}
    for key in vars(KEYS.desfire).values():
        assert key.hex() not in done.output


def test_other_input_is_refused(tmp_path, database, key_file):
    noise = tmp_path / "noise"
    noise.write_bytes(b"no database at all" * 100)
    assert onecard(noise, "--keys", key_file).exit_code == 2
    path = database()
    key_file.chmod(0o644)
    assert onecard(path, "--keys", key_file).exit_code == 2
    key_file.chmod(0o600)
    key_file.write_text("\n".join(key_file.read_text().splitlines()[:-3]))
    assert onecard(path, "--keys", key_file).exit_code == 2
