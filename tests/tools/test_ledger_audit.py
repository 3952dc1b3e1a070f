"""`onecard ledger audit`, as a timer and an auditor run it."""

from tests.ledger.readers import CARD
from tests.tools.test_ledger_quiescence import books, onecard

__all__ = ["books"]


def test_export_and_verify(books, tmp_path):
    folder = tmp_path / "audit"
    code, said = onecard("audit", "export", books, "--out", folder, "--day", "2026-11-25")
    assert code == 0 and "audit-000001-2026-11-25.jsonl: " in said, said
    assert onecard("audit", "export", books, "--out", folder, "--day", "2026-11-25")[0] == 2
    assert onecard("audit", "export", books, "--out", folder, "--day", "2026")[0] == 2
    code, said = onecard("audit", "verify", folder, books)
    assert code == 0 and "; 0 rows of the books are newer" in said, said
    onecard("topup", tmp_path / "ledger.sqlite", "--card", CARD, "--fen", 100, "--order", "A")
    assert "; 2 rows of the books are newer" in onecard("audit", "verify", folder, books)[1]
    assert onecard("audit", "export", books, "--out", folder)[0] == 0
    path = folder / "audit-000001-2026-11-25.jsonl"
    path.write_text(path.read_text().replace("2026-11-25", "2026-11-24"))
    code, said = onecard("audit", "verify", folder)
    assert code == 1 and f"{path.name} is not what its last line says" in said
