"""From the words of a command line to a desk, and back to an exit code."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from firmware.drivers.iso14443 import CardGone
from firmware.drivers.mfrc522 import BusFault
from tools.card import jobs, trace
from tools.card.desk import Desk
from tools.card.dump import hex_bytes
from tools.card.errors import BadInput, CardUnfit, NoCard
from tools.card.order import Order
from tools.card.pcsc import PcscDesk
from tools.card.pi_desk import PiDesk
from tools.card.tray import CLASSIC_1K, DESFIRE_EV2, Tray, new_image
from tools.card.words import EPOCH, KINDS

UNUSABLE = 2
PI, PCSC = "pi", "pcsc"
_AGAIN = "lay the card back and run the same command again"


@dataclass(frozen=True)
class Place:
    """Where the card lies: a tray image, or a desk by name; `record` keeps what was said there."""

    tray: Path | None = None
    desk: str = ""
    reader: str = ""
    record: Path | None = None

    def open(self) -> Desk:
        """The desk. BadInput when it is not exactly one or not there."""
        refuse_overwriting(self.tray, self.record)
        if (self.tray is None) == (not self.desk):
            raise BadInput("say where the card lies: --tray FILE, or --desk pi, or --desk pcsc")
        if self.tray is not None:
            return Tray(self.tray)
        return PiDesk() if self.desk == PI else PcscDesk(self.reader)


def run(place: Place, job: Callable[[Desk], jobs.Answer], as_json: bool = False) -> int:
    """Open the desk, do the job, print its answer; the exit code of the command."""
    try:
        desk = place.open()
        try:
            answer = job(desk)
        finally:
            desk.close()
            if place.record is not None:
                trace.save(place.record, desk.recorder.exchanges)
    except CardGone as error:
        return _complain(f"the card has left ({error}): {_AGAIN}", jobs.FAILED)
    except BusFault as error:
        return _complain(f"the reader does not answer: {error}", jobs.FAILED)
    except (NoCard, CardUnfit) as error:
        return _complain(str(error), jobs.FAILED)
    except (BadInput, OSError) as error:
        return _complain(str(error), UNUSABLE)
    say(answer, as_json)
    return answer.exit_code


def say(answer: jobs.Answer, as_json: bool) -> None:
    """Print an answer for people, or as JSON."""
    print(json.dumps(answer.data, indent=1) if as_json else "\n".join(answer.lines))


def replay(path: Path, as_json: bool) -> int:
    """Print a trace file; the exit code of the command."""
    try:
        answer = jobs.show(trace.load(path))
    except BadInput as error:
        return _complain(str(error), UNUSABLE)
    say(answer, as_json)
    return answer.exit_code


def blank(place: Place, uid: str, is_desfire: bool) -> None:
    """Put a factory card with `uid` (hexadecimal) into the tray's file. BadInput."""
    if place.tray is None:
        raise BadInput("--blank makes a card for the tray: say --tray FILE")
    kind, lengths = (DESFIRE_EV2, (7,)) if is_desfire else (CLASSIC_1K, (4, 7))
    new_image(place.tray, kind, hex_bytes(uid, "--uid", lengths))


def refuse_overwriting(tray: Path | None, *written: Path | None) -> None:
    """BadInput when a file to be written is the image on the tray."""
    if tray is not None and any(path is not None and _is_same(path, tray) for path in written):
        raise BadInput(f"{tray} is the card on the tray; choose another file")


def _is_same(path: Path, other: Path) -> bool:
    return path.resolve() == other.resolve()


def order(
    card_no: int,
    kind: str,
    valid_from: str,
    valid_to: str,
    balance_fen: int,
    digits: bytes = b"",
    name: str = "",
) -> Order:
    """What the card shall say, from a command line. BadInput."""
    if kind not in KINDS:
        raise BadInput(f"--kind: one of {', '.join(KINDS)}")
    days = _days("--valid-from", valid_from), _days("--valid-to", valid_to)
    return Order(card_no, KINDS[kind], *days, balance_fen, digits, name)


def _days(option: str, text: str) -> int:
    try:
        return (date.fromisoformat(text) - EPOCH).days
    except ValueError:
        raise BadInput(f"{option}: a date such as 2026-09-01") from None


def _complain(text: str, exit_code: int) -> int:
    print(f"onecard: {text}", file=sys.stderr)
    return exit_code
