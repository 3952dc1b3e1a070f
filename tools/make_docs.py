"""Write the pages of docs/ that say what the code says: `python -m tools.make_docs`."""

from collections.abc import Mapping, Sequence

from ledger import reasons as ledger_reasons
from protocols.link import delivery
from protocols.rules import reason_texts, reasons
from protocols.wire import error_texts, mqtt
from tools.rooms import ROOT

FOLDER = ROOT / "docs"

_INTRODUCTION = """\
# Reason codes

Made by `python -m tools.make_docs`; a test fails when this page is not what the code says.

A number has one meaning, on a display, in a journal, in a log and in the ledger, and never gets
another. 0 means approved, or no error.
"""


def pages() -> dict[str, str]:
    """File name in docs/ -> text of every page that this program writes."""
    return {"reason-codes.md": reason_codes()}


def reason_codes() -> str:
    """Every number, by who says it."""
    refusals = [
        (number, reasons.DISPLAY[number], *texts) for number, texts in reason_texts.TEXTS.items()
    ]
    parts = [
        _INTRODUCTION,
        "## Why a tap was refused\n",
        "On the display, and in the REFUSAL record. `protocols/rules/reasons.py`\n",
        _table(("", "display", "meaning", "中文"), refusals),
        "## Why bytes were refused\n",
        "By any tier; the ledger sends it back in RECEIPTS. `protocols/wire/errors.py`\n",
        _numbered(error_texts.TEXTS),
        "## Why an MQTT connection ended\n",
        "On the reader, which then connects again. `protocols/wire/mqtt.py`\n",
        _numbered(mqtt.TEXTS),
        "## Answers a reader does not follow\n",
        "They cannot be about its journal. `protocols/link/delivery.py`\n",
        _numbered(delivery.TEXTS),
        "## What the ledger says of a record\n",
        "301: nothing was kept. The others open a case for somebody to look at.\n"
        "`ledger/reasons.py`\n",
        _numbered(ledger_reasons.TEXTS),
    ]
    return "\n".join(parts)


def _numbered(texts: Mapping[int, str]) -> str:
    return _table(("", "meaning"), list(texts.items()))


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *sorted(rows, key=lambda row: str(row[0]))]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def main() -> None:
    """Write all pages."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
