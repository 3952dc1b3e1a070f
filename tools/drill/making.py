"""Makes a drill: when it was, what the books prove of it, and how it is filed."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ledger.drill_rules import Window
from ledger.drills import Filed, Judged
from ledger.store import LedgerStore
from tools.drill import simulated as played_sites
from tools.drill import watch
from tools.drill.order import Readers, Times
from tools.drill.sheet import local
from tools.ledger_drill import time_of
from tools.ledger_forks import opened
from tools.session import signing

SIMULATED_BY = "drill"  # who signs in the books of a simulated site, where nobody is named

Made = tuple[Judged, Callable[[], Filed]]


def simulated(kind: str, site: str, where: Readers, out: Path, seed: int | None) -> Made:
    """Play the outage of a site, once; what its books prove, and how to file it there.

    NotPlayed, ScenarioError, DossierRefused.
    """
    played = played_sites.play(kind, site, out, seed)
    judged = _judged(played.books, kind, site, played.window, where)

    def file() -> Filed:
        with closing(LedgerStore.open(str(played.books))) as store:
            drills, person = store.merchants.drills, where.person or SIMULATED_BY
            return drills.one(drills.file(judged, where.department, person, played.ended_s))

    return judged, file


def real(
    kind: str,
    site: str,
    where: Readers,
    times: Times,
    out: Path,
    say: watch.Say,
    pressed: watch.Pressed,
) -> Made:
    """An outage that a person has made, or makes now; what the books prove, how to file it.

    NotBooks, NoWindow, BadTime, DossierRefused; `file` also NotAllowed.
    """
    books = where.books
    assert books is not None
    judged = _judged(books, kind, site, _window(kind, site, times, out, say, pressed), where)
    if judged.silent:
        say("silent readers: use each once more, then give this command again")

    def file() -> Filed:
        now_s = int(time.time())
        with signing(books, where.person, now_s) as (store, who):
            drills = store.merchants.drills
            return drills.one(drills.file(judged, where.department, who, now_s))

    return judged, file


def to_text(judged: Judged, is_simulated: bool) -> str:
    """A line for each rule at each reader; the last one says whether the site was a real one."""
    lines = []
    for reader in judged.readers:
        for check in reader.checks:
            figures = ", ".join(f"{name} {value}" for name, value in check.figures.items())
            said = f"reader {reader.device}, {reader.kind}: {check.rule} {check.verdict.upper()}"
            lines.append(f"{said} ({figures})" if figures else said)
    where = f"{judged.site}, simulated" if is_simulated else judged.site
    return "\n".join([*lines, f"{judged.kind} drill at {where}: {judged.verdict}"])


def _judged(books: Path, kind: str, site: str, window: Window, where: Readers) -> Judged:
    with opened(books) as store:
        judge = store.merchants.drills.judge
        return judge(kind, site, window.from_s, window.to_s, where.left_out)


def _window(
    kind: str, site: str, times: Times, out: Path, say: watch.Say, pressed: watch.Pressed
) -> Window:
    """As said, as noted in the folder, or as watched now."""
    if times.begun and times.ended:
        return Window(*(time_of(text, times.utc_offset_s) for text in (times.begun, times.ended)))
    if times.begun or times.ended:
        raise watch.NoWindow("say both --from and --to")
    known = watch.noted(out, kind, site)
    if known.from_s is not None and known.to_s is not None:
        begun, ended = (local(at_s, times.utc_offset_s) for at_s in (known.from_s, known.to_s))
        say(f"the outage noted in {out}, {begun} to {ended}; for another one take another --out")
        return Window(known.from_s, known.to_s)
    if not times.agent:
        raise watch.NoWindow("say --from and --to, or watch with --agent")
    return watch.watch(times.agent, watch.Folder(out, kind, site), say, pressed, time.time)
