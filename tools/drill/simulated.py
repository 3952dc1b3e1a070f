"""A drill on a simulated site: its readers, agent and ledger are the real programs, in one world.

Rules of this file. The same site and seed give the same records, so a drill that was cut off and
is begun again is filed as the one it was. What was played whole is not played again.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ledger.drill_rules import Window
from protocols.wire import topics
from simulator.run import run_scenario
from simulator.scenario import Scenario, parse
from tools.rooms import ROOT

DRILLS = ROOT / "simulator" / "drills"
_CUT = {"power": "mains", "network": "reader-network"}
_SECOND_US = 1_000_000


class NotPlayed(Exception):
    """The site could not be played; the text says why."""


@dataclass(frozen=True, slots=True)
class Played:
    """`books`: the database of the site's ledger. `ended_s`: when the last record was written."""

    books: Path
    window: Window
    ended_s: int


def play(kind: str, site: str, folder: Path, seed: int | None) -> Played:
    """Play the outage of a site into a folder, if it is not there yet. NotPlayed."""
    if not topics.is_site(site):
        raise NotPlayed(f"'{site}' is no name of a site")
    text = (DRILLS / f"{kind}.toml").read_text(encoding="utf-8").replace('"SITE"', f'"{site}"')
    if seed is not None:
        text = text.replace("\nseed = ", f"\nseed = {seed}  # not ")
    file, kept = folder / f"{kind}.toml", folder / f"{kind}-kept"
    if not kept.exists() or not file.exists() or file.read_text(encoding="utf-8") != text:
        unfinished = folder / f".{kind}-kept.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
        file.write_text(text, encoding="utf-8")
        report = run_scenario(file, depth="card", keep=unfinished)
        if report.exit_code:
            said = "; ".join([*report.violations, *report.failures]) or "out of time"
            raise NotPlayed(f"{file}: {said}")
        unfinished.rename(kept)
    scenario = parse(text, file)
    return Played(kept / "ledger.sqlite", _window(scenario, _CUT[kind]), _end_s(scenario))


def _window(scenario: Scenario, what: str) -> Window:
    """From the first cut of the whole site to where it is plugged in again."""
    at_s = {
        step.do: scenario.start_utc_s + step.at_us // _SECOND_US
        for step in scenario.steps
        if step.fields.get("what") == what and "reader" not in step.fields
    }
    return Window(at_s["cut"], at_s["plug"])


def _end_s(scenario: Scenario) -> int:
    last_us = max(step.at_us for step in scenario.steps) + scenario.drain_us
    return scenario.start_utc_s + last_us // _SECOND_US
