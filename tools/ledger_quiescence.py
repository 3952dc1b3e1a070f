"""`onecard ledger quiescence` and `onecard ledger maps`: what the books can prove of a card.

The books are opened for reading only, so both may run beside the ledger, and on a backup. A
release is written beside it too.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ledger.certificates import certificate, release, verify
from ledger.doctor import some
from ledger.map_news import Behind, behind, newest
from ledger.quiescence import TEXTS, Quiescence, QuiescenceRefused, examine
from ledger.receipts import public_key
from tools.ledger_forks import opened, signing_key_of
from tools.session import signing

PROVEN, BARRED = 0, 1


def prove(
    path: Path, card_no: int, before: str | None, out: Path | None, now_s: int
) -> tuple[Quiescence, str]:
    """What is proven for a card, and the certificate of it, which is written to `out`.

    Raises NotBooks, QuiescenceRefused and OSError; an `out` that is there stays as it is.
    """
    before_s = None if before is None else _seconds(before)
    with opened(path) as store:
        found = examine(store.database, card_no, before_s)
    text = certificate(found, now_s, signing_key_of(path))
    if out is not None:
        _write_new(out, text)
    return found, text


def check(file: Path, path: Path) -> list[str]:
    """What is wrong with a certificate by the books. NotBooks, CertificateError, OSError."""
    key = signing_key_of(path)
    with opened(path) as store:
        text = file.read_text(encoding="utf-8")
        return verify(store.database, text, None if key is None else public_key(key))


def let_go(path: Path, device: int, record: int, person: str, because: str, now_s: int) -> None:
    """A person releases a reader, or one of its records. NotBooks, QuiescenceRefused."""
    with signing(path, person, now_s) as (store, who):
        release(store.database, device, record, now_s, who, because)


def to_text(found: Quiescence) -> str:
    """For people: whether it is proven, who bars it, and what would end that."""
    return "\n".join(_lines(found))


def _lines(found: Quiescence) -> Iterator[str]:
    yield f"card {found.card_no}, spends of before {_time(found.before_s)}"
    for one in found.blocking:
        what, way_out = TEXTS[one.bar]
        where = f"record {one.device}/{one.seq}" if one.seq else f"reader {one.device}"
        yield f"  {where}: {what}"
        yield f"    ends it: {way_out}"
    for one in found.released:
        where = f"record {one.device}/{one.seq}" if one.seq else f"reader {one.device}"
        yield f"  {where}: released by {one.person}, {_time(one.time_s)}: {one.because}"
    if found.blocking:
        yield "not proven: a spend may be missing"
        return
    yield f"proven: none is missing; {len(found.marks)} readers"
    if found.loss_epoch and found.unaware:
        unaware = some(found.unaware)
        yield f"  of later ones one may be, by readers that have not said they know: {unaware}"
    elif found.loss_epoch:
        yield "  nor any of later that a reader took before it knew of the loss"


def maps(path: Path) -> tuple[int, list[Behind]]:
    """The newest epoch, and the readers that have not said that they have it. NotBooks."""
    with opened(path) as store:
        return newest(store.database), behind(store.database)


def maps_text(epoch: int, found: list[Behind]) -> str:
    """A line for each reader."""
    lines = [f"the newest card map is epoch {epoch}"]
    for one in found:
        said = f"epoch {one.epoch}, {_time(one.said_s)}" if one.epoch else "none"
        lines.append(
            f"  reader {one.device}, {one.site}: has told of {said};"
            f" lacks what is since {_time(one.since_s)}"
        )
    return "\n".join(lines if found else [*lines, "every reader has said that it has it"])


def maps_json(epoch: int, found: list[Behind]) -> str:
    """The same as a JSON object."""
    return json.dumps({"epoch": epoch, "behind": [asdict(one) for one in found]}, indent=2)


def _write_new(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _seconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise QuiescenceRefused(f"{text!r}: no time (2026-11-26T08:00:00+08:00)") from error
    if moment.tzinfo is None:
        raise QuiescenceRefused(f"{text!r}: say its zone too (2026-11-26T08:00:00+08:00)")
    return int(moment.timestamp())


def _time(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")
