"""`onecard ledger backup` and `restore`: a copy of the books that somebody has looked at."""

import time
from pathlib import Path

from ledger.backup import back_up, dump_server, restore
from ledger.config import Config, ConfigError, load_config, load_password
from tools.ledger_forks import NotBooks

IS_WHOLE, IS_OLDER = 0, 1
_TOLD_BY_READERS = ("record", "rejected", "transfer", "suspense_case", "cancel", "punch")
_OF_CREDITS = ("load", "channel_topup", "load_try", "load_proof", "load_end", "carry_basis")
_NUMBERED = ("menu_change", "access_change")  # readers know them by their numbers
_OF_FILES = ("payout_try", "remittance_try")
_WAYS: dict[str, str] = {
    **dict.fromkeys(_TOLD_BY_READERS, "come again from readers and agents"),
    **dict.fromkeys(_OF_CREDITS, "belong to credits"),
    "operator_change": "who was disabled is; propose and approve the rest again",
    "phone_app": "no phone has these any more: it is bound anew",
    **dict.fromkeys(_NUMBERED, "enter again, in their order, before any new one"),
    **dict.fromkeys(_OF_FILES, "note by the bank's list: onecard ledger payments note"),
}
# Readers keep the numbers: a new loss under a number of before is one that they know already.
_CARD_CHANGES = (
    "First of all: enter the missing card changes again, in their order (card_change in the audit"
    " has it), before the ledger runs and before any new loss: readers take no change under a"
    " number of before. onecard ledger doctor says if readers know more than the books."
)
_CREDITS_LEFT = (
    "Credits that were not entered again, and that their cards may carry. Suspend each card first:"
    " nobody knows at which tap it was tried. Then, before the ledger runs, enter each under its"
    " own number and order (onecard ledger topup --number); what was carried over goes on by"
    " itself. When the readers' records are back and the card has a case 337, it has that already:"
    " take it in (onecard ledger card swap). If not, lift the suspension."
)
_PHONES_ENDED = (
    "{} cards have no phone any more: theirs was bound or ended after the backup, and the one"
    " before would have paid again. Their holders bind one anew."
)
_STILL_IN = (
    "Still let in, with the password of the backup, though disabled after it: {}. Without them"
    " nobody could let anybody in; let in another administrator, and disable them then."
)
_FILES_WAIT = (
    "Files to banks wait until it is known which the bank has that were made after the backup:"
    " onecard ledger payments waiting."
)
_UNHEARD = (
    "What was paid in after the audit's last file nobody knows here: compare with each channel."
    " Booked again, it gets a new number. Let the readers' records come before: a card with a case"
    " 337 has it already, and is taken in (onecard ledger card swap)."
)


def take(path: Path, out: Path) -> str:
    """Copy the books to `out`, and say what is in them. NotBooks, BackupError, OSError."""
    try:
        config = load_config(path) if path.suffix == ".toml" else None
        if config is not None and config.database_url:
            dump_server(config.database_url, load_password(config), out)
            look = f"createdb, pg_restore --dbname=URL {out}, then onecard ledger doctor"
            return f"{out}: by pg_dump. To look at it: {look}"
    except ConfigError as error:
        raise NotBooks(str(error)) from error
    told = back_up(_file(path, config), out, int(time.time()))
    return (
        f"{out}: {told['records']} records, {told['booked']} spends, checked."
        " It holds secrets: keep it as you keep keys."
    )


def make(backup: Path, into: Path, audit_folder: Path | None) -> tuple[int, str]:
    """Make books of a backup; whether the audit has more than they do, and what to do then."""
    made = restore(backup, into, int(time.time()), audit_folder)
    lines = []
    if made.entered:
        lines.append(f"{made.entered} credits entered again, under the numbers that cards carry")
    if made.phones:
        lines.append(_PHONES_ENDED.format(made.phones))
    if made.disabled:
        lines.append(f"let in no more, as after the backup: {', '.join(made.disabled)}")
    if made.still_in:
        lines.append(_STILL_IN.format(", ".join(made.still_in)))
    if not made.lacks:
        known = "" if audit_folder is None else "; nothing that the audit has is missing"
        return IS_WHOLE, "\n".join([f"{into}: checked{known}", *lines, _FILES_WAIT])
    lines.insert(0, f"{into}: checked, and older than the audit.")
    lines.append("Rows that are missing:")
    for table, count in sorted(made.lacks.items()):
        lines.append(f"  {table}: {count} ({_WAYS.get(table, 'enter again')})")
    if made.lacks["card_change"]:
        lines.append(_CARD_CHANGES)
    if made.left:
        lines.append(_CREDITS_LEFT)
    for one in made.left:
        what = f"{one.amount_fen} fen for card {one.card_no}"
        lines.append(f"  credit {one.number}: {what}: {one.why}")
    lines += [_UNHEARD, _FILES_WAIT]
    return IS_OLDER, "\n".join(lines)


def _file(path: Path, config: Config | None) -> Path:
    return path if config is None else config.database
