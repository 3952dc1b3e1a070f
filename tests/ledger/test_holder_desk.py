"""Personal numbers and reports of losses: who is told, what is believed, since when it counts."""

import logging
import sqlite3

import pytest

from ledger import card_validity
from ledger.card_status import CardRefused
from ledger.code_entries import Shown
from ledger.config import ConfigError, import_register
from ledger.holder_desk import ASK_MS_MIN, LossDesk, PersonDesk
from ledger.invariants import check
from ledger.relay_desk import RelayDesk
from ledger.store import LedgerStore
from protocols.card.virtual_code import LIFE_S
from protocols.rules import reasons
from protocols.rules.card_status import ACTIVE, CLOSED, LOST
from protocols.rules.scan_codes import CAMPUS_IDENTITY
from protocols.wire import desk_messages, messages, seal
from protocols.wire.errors import WireError
from tests.ledger.checkout import SITE, Checkout
from tests.ledger.readers import CARD, OTHER_CARD, Reader

PERSON_NO = "2026010203"


class Centre(Checkout):
    """A ledger that is asked about holders."""

    def boot(self):
        super().boot()
        interval_ms = lambda: (self.now_ms - self.error_ms, self.now_ms + self.error_ms)  # noqa: E731
        self.loss_desk = LossDesk(self.store, self.phones, interval_ms, lambda: self.now_s)
        self.person_desk = PersonDesk(self.store)
        self.relays = RelayDesk(self.store, self.person_desk, self.loss_desk)

    def code(self, kind=CAMPUS_IDENTITY, **how):
        return super().code(kind=kind, **how)

    def hear(self, reader, kind, fields, wait_ms=ASK_MS_MIN, site=SITE, key=None):
        """The answer's fields without nonce and kind, or None."""
        fields = {"nonce": self._draw.randbytes(8), **fields}
        relay_key = seal.derive(key or reader.key, messages.RELAY_LABEL)
        payload = messages.encode_relayed(kind, fields, desk_messages.SHAPES)
        self.now_ms += wait_ms
        said = seal.seal(relay_key, payload, messages.RELAY_UP)
        answer = self.relays.hear(site, reader.device, said, self.now_ms)
        if answer is None:
            return None
        opened = seal.unseal(relay_key, answer, messages.RELAY_DOWN)
        heard = messages.decode_relayed(opened, (kind + 1,), desk_messages.SHAPES)
        assert heard.pop("nonce") == fields["nonce"]
        del heard["kind"]
        return heard

    def lose(self, reader, **fields):
        heard = self.hear(reader, desk_messages.LOSS_ASK, {"code": self.code(), **fields})
        return None if heard is None else (heard["reason"], heard["lost_s"])

    def number(self, reader, card_no=CARD, **how):
        heard = self.hear(reader, desk_messages.PERSON_ASK, {"card_no": card_no}, **how)
        return None if heard is None else (heard["reason"], heard["person_no"].decode())

    def status(self, card_no=CARD):
        assert check(self.store) == []
        return self.store.cards.status(card_no)


@pytest.fixture
def reader():
    return Reader(1001)


# --- losses: failures first -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"seed": bytes(32)}, reasons.CODE_FORGED),
        ({"card": OTHER_CARD}, reasons.CODE_FORGED),
        ({"card": 99}, reasons.CODE_FORGED),
        ({"kind": 1}, reasons.CODE_IS_PAYMENT),
        ({"made_s": -LIFE_S - 2}, reasons.CODE_EXPIRED),
        ({"made_s": 120}, reasons.CODE_NOT_YET),
    ],
)
def test_what_proves_nothing_loses_nothing(reader, how, reason):
    centre = Centre(reader)
    made_s = {"made_s": centre.now_s + how["made_s"]} if "made_s" in how else {}
    assert centre.lose(reader, code=centre.code(**{**how, **made_s})) == (reason, 0)
    assert centre.status() == ACTIVE
    assert centre.store.cards.epoch() == 0


def test_a_code_of_other_letters_is_none_of_ours(reader):
    centre = Centre(reader)
    assert centre.lose(reader, code=b"1" * 38) == (reasons.CODE_UNKNOWN, 0)


@pytest.mark.parametrize("wrong", [{"key": bytes(32)}, {"site": "north"}])
def test_nobody_else_reports(reader, wrong):
    centre = Centre(reader)
    with pytest.raises(WireError):
        centre.hear(reader, desk_messages.LOSS_ASK, {"code": centre.code()}, **wrong)
    assert centre.status() == ACTIVE


def test_the_same_question_has_the_same_answer_over_a_restart(reader, tmp_path):
    centre = Centre(reader, path=str(tmp_path / "ledger.sqlite"))
    question = {"nonce": b"question", "code": centre.code()}
    lost_s = centre.lose(reader, **question)[1]
    assert lost_s == centre.now_s
    centre.now_ms += 7_000
    assert centre.lose(reader, **question) == (0, lost_s)
    centre.boot()
    centre.now_ms += 90_000  # the code is too old for anything else by now
    assert centre.lose(reader, **question) == (0, lost_s)
    assert len(centre.store.cards.history(CARD)) == 1


def test_a_code_reports_once(reader):
    centre = Centre(reader, Reader(1002))
    code = centre.code()
    assert centre.lose(reader, nonce=b"question", code=code)[0] == 0
    assert centre.lose(Reader(1002), code=code) == (reasons.CODE_USED, 0)
    assert centre.lose(reader, nonce=b"question", code=centre.code()) == (reasons.CODE_USED, 0)


def test_a_code_that_a_door_was_told_of_reports_nothing_and_the_other_way_round(reader):
    centre = Centre(reader)
    store = centre.store
    store.access.add_door(1001, "public", 5_000, 0)
    card_validity.know(store.database, [card_validity.Validity(CARD, 2, 0, 65_535)])

    def whose(code, nonce):
        shown = Shown(1001, nonce, code)
        now_ms = centre.now_ms, centre.now_ms
        return store.code_entries.ask(shown, centre.phones.seed_of, now_ms, 28_800).reason

    told, reported = centre.code(), centre.code()
    assert whose(told, b"question") == 0
    assert centre.lose(reader, code=told) == (reasons.CODE_USED, 0)
    assert centre.status() == ACTIVE
    assert centre.lose(reader, code=reported)[0] == 0
    assert whose(reported, b"another.") == reasons.CODE_USED


def test_of_two_reports_the_first_has_the_time(reader):
    centre = Centre(reader)
    first = centre.lose(reader)
    centre.now_ms += 600_000
    assert centre.lose(reader) == first
    assert centre.status() == LOST
    (change,) = centre.store.cards.history(CARD)
    assert change[2:] == (first[1], "lose", "identity-code")


def test_whoever_was_refused_is_not_believed_by_an_echo(reader):
    centre = Centre(reader)
    early = {"nonce": b"question", "code": centre.code(made_s=centre.now_s + 40)}
    assert centre.lose(reader, **early) == (reasons.CODE_NOT_YET, 0)
    centre.now_ms += 45_000
    assert centre.lose(reader, **early) == (reasons.CODE_NOT_YET, 0)
    assert centre.status() == ACTIVE


def test_a_closed_card_is_not_lost(reader):
    """Its phone has died with it, so nobody can tell any more who made the code (ADR 52)."""
    centre = Centre(reader)
    centre.store.cards.set("close", CARD, centre.now_s, "id-card")
    assert centre.lose(reader) == (reasons.CODE_FORGED, 0)
    assert centre.status() == CLOSED


def test_a_suspended_card_is_lost_and_then_takes_evidence(reader):
    centre = Centre(reader)
    centre.store.cards.set("suspend", CARD, centre.now_s)
    assert centre.lose(reader)[0] == 0
    assert centre.status() == LOST
    with pytest.raises(CardRefused, match="evidence"):
        centre.store.cards.set("unlose", CARD, centre.now_s)


def test_a_disk_that_does_not_take_it_answers_nothing(reader, tmp_path):
    path = str(tmp_path / "ledger.sqlite")
    centre = Centre(reader, path=path)
    centre.store.database._connection.execute("PRAGMA busy_timeout = 0")
    question = {"nonce": b"question", "code": centre.code()}
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert centre.lose(reader, **question) is None
    other.execute("ROLLBACK")
    other.close()
    assert centre.status() == ACTIVE
    assert centre.lose(reader, **question)[0] == 0
    assert centre.loss_desk.counters["store_unavailable"] == 1


def test_asked_too_often_it_says_nothing(reader):
    centre = Centre(reader)
    question = {"nonce": b"question", "code": centre.code()}
    assert centre.hear(reader, desk_messages.LOSS_ASK, question) is not None
    assert centre.hear(reader, desk_messages.LOSS_ASK, question, wait_ms=100) is None


# --- personal numbers -------------------------------------------------------------------------


def test_only_a_desk_is_told_and_only_of_a_card_in_order(reader, caplog):
    caplog.set_level(logging.DEBUG)
    centre = Centre(reader, Reader(1002))
    centre.store.person_numbers.know([(CARD, PERSON_NO)])
    assert centre.number(reader) == (reasons.NOT_A_DESK, "")
    centre.store.person_numbers.let_ask([(1001, True)])
    assert centre.number(reader) == (0, PERSON_NO)
    assert centre.number(Reader(1002)) == (reasons.NOT_A_DESK, "")
    assert centre.number(reader, OTHER_CARD) == (reasons.NO_PERSON_NO, "")
    assert centre.number(reader, 99) == (reasons.NO_PERSON_NO, "")
    for verb, reason in (("suspend", reasons.CARD_SUSPENDED), ("lose", reasons.CARD_LOST)):
        centre.store.cards.set(verb, CARD, centre.now_s, "id-card")
        assert centre.number(reader) == (reason, "")
    centre.store.person_numbers.let_ask([(1001, False)])
    assert centre.number(reader, OTHER_CARD) == (reasons.NOT_A_DESK, "")
    assert PERSON_NO not in caplog.text
    assert PERSON_NO.encode() not in centre.store.dump()


def test_a_card_too_many_is_answered_later(reader):
    centre = Centre(reader)
    assert centre.number(reader) is not None
    assert centre.number(reader, wait_ms=100) is None
    assert centre.person_desk.counters["too_often"] == 1


REGISTER = """
[[device]]
device = 1001
key = "{key}"
merchant_no = 12
person_numbers = {desk}
[[card]]
card_no = 7
balance_fen = 0
person_no = "{number}"
"""


def registered(tmp_path, number, desk="true"):
    path = tmp_path / "register.toml"
    path.write_text(REGISTER.format(key="00" * 32, desk=desk, number=number))
    path.chmod(0o600)
    return path


def test_the_register_says_whose_number_it_is_and_who_may_ask(tmp_path):
    store = LedgerStore.open(":memory:")
    for number, desk in ((PERSON_NO, "true"), (PERSON_NO, "true"), ("T0012", "true")):
        import_register(store, registered(tmp_path, number, desk))
        assert store.person_numbers.of(1001, 7) == (0, number)
    import_register(store, registered(tmp_path, "T0012", "false"))
    assert store.person_numbers.of(1001, 7) == (reasons.NOT_A_DESK, "")


@pytest.mark.parametrize("number", ["t0012", "2026-01", "1" * 17, "学号", "1 2"])
def test_a_bad_number_is_refused_and_not_repeated(tmp_path, number):
    store = LedgerStore.open(":memory:")
    with pytest.raises(ConfigError, match=r"card\[0\].person_no: not 1 to 16 of") as refused:
        import_register(store, registered(tmp_path, number))
    assert number not in str(refused.value)
    with pytest.raises(ConfigError, match="person_numbers: neither true nor false"):
        import_register(store, registered(tmp_path, PERSON_NO, desk="1"))
