"""Writes the settlement sheet of a period (ledger/period_sheet.py) to files of mode 0600."""

from pathlib import Path

from ledger.period_sheet import page, read, workbook
from tools.ledger_batch import write_private
from tools.ledger_forks import opened
from tools.ledger_lives import BadInput


def write(path: Path, number: int, xlsx: Path | None, html: Path | None, utc_offset_s: int) -> str:
    """Write what is asked for. NotBooks, PeriodRefused, BadInput."""
    if xlsx is None and html is None:
        raise BadInput("--xlsx, --html or both say what is written")
    with opened(path) as store:
        sheet = read(store, number, utc_offset_s)
    for out, make in ((xlsx, workbook), (html, page)):
        if out is not None:
            write_private(out, make(sheet))
    names = " and ".join(str(out) for out in (xlsx, html) if out is not None)
    return f"{names}: {sheet.total} yuan, {sheet.words}"
