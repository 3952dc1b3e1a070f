"""`onecard ledger doctor` and `metrics`, and the alert rules that stand on them."""

import re
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ledger.doctor import GOOD, WRONG, examine
from ledger.health import look
from ledger.store import LedgerStore
from tests.ledger.readers import Reader, lost
from tests.ledger.tampering import tamper
from tests.tools.test_ledger_quiescence import books, onecard

__all__ = ["books"]

ALERTS = Path(__file__).parents[2] / "ledger" / "monitoring" / "alerts.yml"
DAY_S = 86_400


def values(said):
    """(name, reason) -> value."""
    return {
        (sample.name, sample.labels.get("reason", "")): sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
    }


@pytest.fixture
def store(books, tmp_path):
    with closing(LedgerStore.open(str(tmp_path / "ledger.sqlite"))) as store:
        yield store


def test_metrics_are_what_the_books_say(books, store, tmp_path):
    reader = Reader(1002)
    reader.boot()
    reader.spend(card_no=99)
    reader.boot()
    store.book([[lost(reader.key, 1002, 1, reader.records[1]), *reader.records[1:3]]])
    store.book([[reader.records[3]]])
    code, said = onecard("metrics", books)
    assert code == 0
    found = values(said)
    for name, wanted in {
        "readers": 2,
        "records": 3 + 4,
        "parked_records": 0,
        "card_map_epoch": 1,
        "readers_without_newest_card_map": 1,
    }.items():
        assert found["onecard_ledger_" + name, ""] == wanted, name
    assert found["onecard_ledger_cases", "314"] == found["onecard_ledger_cases", "331"] == 1
    assert found["onecard_ledger_suspense_fen", "331"] == -100
    out = tmp_path / "onecard.prom"
    assert onecard("metrics", books, "--out", out) == (0, "")
    assert values(out.read_text()).keys() == found.keys()


def test_every_metric_that_the_rules_name_is_there(books, tmp_path):
    audit = tmp_path / "audit"
    onecard("audit", "export", books, "--out", audit)
    known = {name for name, _ in values(onecard("metrics", books, "--audit", audit)[1])}
    said = onecard("metrics", books)[1]
    known |= set(re.findall(r"^# TYPE (\w+) gauge$", said, re.MULTILINE))
    rules = [
        rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]
    named = {name for rule in rules for name in re.findall(r"onecard_ledger_\w+", rule["expr"])}
    # Only where the ledger has a certificate.
    assert named - known == {"onecard_ledger_certificate_left_days"}
    for rule in rules:
        assert rule["annotations"]["action"] and rule["labels"]["severity"]


def test_the_doctor_finds_a_good_ledger_good(books):
    code, said = onecard("doctor", books)
    assert code == 1 and "wrong  ledger: does not run" in said, said
    assert "good   books: every rule holds" in said
    assert "look   card map: 1 have not said that they have epoch 1" in said
    code, said = onecard("doctor", books.with_name("ledger.sqlite"))
    assert code == 0, said
    assert onecard("doctor", books.with_name("signing.key"))[0] == 2


def levels(store, now_s, folder=None):
    return {finding.about: finding.level for finding in examine(store, now_s, folder=folder)}


def test_the_doctor_sees_books_that_were_changed(store):
    assert levels(store, 0)["books"] == GOOD
    tamper(store, ["UPDATE transfer SET amount_fen = 1 WHERE device = 1001"])
    assert levels(store, 0)["books"] == WRONG


def test_the_doctor_knows_how_old_the_audit_is(books, store, tmp_path):
    audit = tmp_path / "audit"
    audit.mkdir()
    noon_s = 1_795_694_400  # 2026-11-26
    assert levels(store, noon_s, audit)["audit"] == WRONG
    onecard("audit", "export", books, "--out", audit, "--day", "2026-11-26")
    for days, level in ((-2, WRONG), (-1, GOOD), (0, GOOD), (1, GOOD), (2, WRONG)):
        assert levels(store, noon_s + days * DAY_S, audit)["audit"] == level, days
    (audit / "audit-000009-2026-11-30.jsonl").write_text("noise")
    assert levels(store, noon_s, audit)["audit"] == WRONG


def test_nothing_of_a_person_is_in_it(books, store):
    said = onecard("metrics", books)[1]
    labels = set(re.findall(r'(\w+)="', said))
    assert labels <= {"reason"} and look(store.database).barred == ()
