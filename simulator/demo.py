"""The main job, shown: a canteen eats through a power cut and the books balance to the fen."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from simulator.run import run_scenario

SCENARIO = Path(__file__).parent / "scenarios" / "lunch_outage.toml"
# One line: the terminal's own width wraps it.
_OPENING = (
    "[bold]A canteen at lunch.[/bold] Three readers run the real firmware on models of their "
    "chips and cards; brokers, agent and ledger are the real programs. The readers' network is "
    "cut, then the line to the card centre, then the mains, and one reader loses even its "
    "battery. People go on eating."
)


def main(seed: int | None, home: str, broker: str) -> int:
    """Play simulator/scenarios/lunch_outage.toml with its progress; the exit code."""
    console = Console()
    console.print(f"\n{_OPENING}\n")
    report = run_scenario(
        SCENARIO,
        seed=seed,
        home=home,
        broker=broker,
        progress=lambda text: console.print(text, highlight=False),
    )
    console.print()
    console.print(report)
    return report.exit_code
