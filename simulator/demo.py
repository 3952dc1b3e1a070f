"""The main job, shown: a canteen eats through a power cut and the books balance to the fen."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from simulator.run import run_scenario

SCENARIO = Path(__file__).parent / "scenarios" / "lunch_outage.toml"
_OPENING = """
[bold]A canteen at lunch.[/bold] Three readers, their firmware on a modelled RC522, MIFARE cards
and NOR flash; real MQTT brokers in the building and in the card centre, a real agent and a real
ledger on SQLite. On the way the network is cut, then the line to the card centre, then the mains,
and one reader loses even its battery while cards are held to it.
"""


def main(seed: int | None, home: str, broker: str) -> int:
    """Play simulator/scenarios/lunch_outage.toml with its progress; the exit code."""
    console = Console()
    console.print(_OPENING)
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
