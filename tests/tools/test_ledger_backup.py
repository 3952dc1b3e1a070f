"""`onecard ledger backup` and `restore`, as an operator runs them."""

from tests.ledger.readers import CARD, OTHER_CARD
from tests.tools.test_ledger_quiescence import books, onecard

__all__ = ["books"]


def test_backup_and_restore(books, tmp_path):
    copy, new, audit = tmp_path / "b.sqlite", tmp_path / "new.sqlite", tmp_path / "audit"
    code, said = onecard("backup", books, copy)
    assert code == 0 and "3 records, 1 spends, checked" in said, said
    assert onecard("backup", books, copy)[0] == 2
    onecard("topup", tmp_path / "ledger.sqlite", "--card", CARD, "--fen", 100, "--order", "A")
    onecard("card", "suspend", tmp_path / "ledger.sqlite", "--card", OTHER_CARD)
    assert onecard("audit", "export", books, "--out", audit)[0] == 0
    code, said = onecard("restore", copy, new, "--audit", audit)
    assert code == 1 and "card_change: 1 (enter again)" in said, said
    assert "1 credits entered again" in said and "transfer" not in said
    assert "First of all: enter the missing card changes again" in said
    assert onecard("restore", copy, new)[0] == 2
    code, said = onecard("restore", copy, tmp_path / "newer.sqlite")
    assert code == 0 and "newer.sqlite: checked" in said
