"""What a torture run has to show for itself: the same few figures, whatever was tortured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Result:
    """Figures of one unit of work, or of many added together.

    cut_points: different places at which something was cut, each followed to its end.
    events: what the models executed meanwhile (RF frames, flash operations, messages).
    faults_fired: by kind, how often a fault really struck, counted where it strikes: a kind that
    is missing here was never tried, whatever the plan says.
    violations: sentences, each with what replays it; empty means that everything held.
    unresolved: what nobody can tell the outcome of at the end and somebody should.
    virtual_s: how long all that took by the simulated clocks.
    done: by kind, how often something happened that is no fault (taps, alarms).
    """

    cut_points: int = 0
    events: int = 0
    faults_fired: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    unresolved: int = 0
    virtual_s: int = 0
    done: dict[str, int] = field(default_factory=dict)

    def fired(self, kind: str, times: int = 1) -> None:
        """Note that a fault of this kind has struck."""
        self.faults_fired[kind] = self.faults_fired.get(kind, 0) + times

    def add(self, other: Result) -> None:
        """Take the figures of `other` in."""
        self.cut_points += other.cut_points
        self.events += other.events
        self.faults_fired = dict(Counter(self.faults_fired) + Counter(other.faults_fired))
        self.violations += other.violations
        self.unresolved += other.unresolved
        self.virtual_s += other.virtual_s
        self.done = dict(Counter(self.done) + Counter(other.done))
