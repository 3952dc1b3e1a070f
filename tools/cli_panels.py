"""In which part of `--help` a command stands, and in which order."""

from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

Panels = Mapping[str, tuple[str, ...]]

ONECARD: Panels = {
    "Try it": ("demo", "sim", "bench"),
    "Run it": ("ledger", "agent", "broker", "ca"),
    "Readers and cards": (
        *("keys", "firmware", "device", "reader", "journal", "card", "desk", "aggregate-code"),
    ),
    "Show that it holds": ("drill", "report"),
}
LEDGER: Panels = {
    "Run it": ("run", "serve", "console", "token", "migrate"),
    "Cards and their holders": (
        *("card", "temporary", "batch", "phone", "person", "carry-over", "quiescence"),
        "retention",
    ),
    "Money in and out": (
        *("topup", "subsidy", "refunds", "payments", "period", "merchant", "aggregate"),
        *("acquirer", "codes", "settle"),
    ),
    "Readers and doors": (
        *("device", "access", "locks", "policy", "menu", "firmware", "maps", "inspections"),
    ),
    "Staff": ("operator", "decline", "attendance"),
    "What looks wrong": ("case", "reconcile", "forks", "splits", "proofs"),
    "Keep it well": ("doctor", "metrics", "audit", "backup", "restore", "replay"),
}
SIM: Panels = {
    "Play": ("run", "desk", "torture", "residence", "city"),
    "Boards": ("board", "bare", "base", "meal"),
    "Books": ("year", "months"),
}


def arrange(app: typer.Typer, panels: Panels) -> None:
    """Show the commands of `app` by panel; what no panel names comes last, by itself."""
    panel_of = {name: panel for panel, names in panels.items() for name in names}
    order = {name: number for number, name in enumerate(panel_of)}
    for one in (*app.registered_commands, *app.registered_groups):
        if one.name in panel_of:
            one.rich_help_panel = panel_of[one.name]

    class ByPanel(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:
            names = super().list_commands(ctx)
            return sorted(names, key=lambda name: order.get(name, len(order)))

    app.info.cls = ByPanel
