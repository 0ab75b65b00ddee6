"""What a measurement is told as: a median with its spread, and ratios of what was measured side by side."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of what several turns gave, and the least and the most of them."""

    median: float
    low: float
    high: float
    turns: int
    unit: str

    def __str__(self) -> str:
        spread = "" if self.turns == 1 else f" ({short(self.low)}-{short(self.high)})"
        return f"{short(self.median)}{spread}"


def figure(values: Sequence[float], unit: str) -> Figure:
    """Sum up turns; raises ValueError where there is none."""
    if not values:
        raise ValueError("nothing was measured")
    return Figure(statistics.median(values), min(values), max(values), len(values), unit)


def quotients(above: Sequence[float], below: Sequence[float]) -> Figure:
    """Divide turn by turn: neighbours met the same noise, so it cancels out."""
    return figure([a / b for a, b in zip(above, below, strict=True)], "x")


@dataclass(frozen=True, slots=True)
class Target:
    """What a ratio is held to: ``at_least`` or ``at_most``; ``source`` says where that is written."""

    at_least: float | None = None
    at_most: float | None = None

    def met_by(self, value: float) -> bool:
        """Say whether a value keeps it."""
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result. ``key`` names it for good: the guard compares by it.

    ``of`` names what the figure is a ratio of; ``more_is_better`` tells the guard which way is worse.
    """

    scenario: str
    key: str
    title: str
    figure: Figure
    of: str | None = None
    target: Target | None = None
    more_is_better: bool = False
    note: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        return None if self.target is None else self.target.met_by(self.figure.median)

    def document(self) -> dict[str, Any]:
        """Give the row as JSON has it."""
        found: dict[str, Any] = {
            "scenario": self.scenario,
            "key": self.key,
            "title": self.title,
            "median": self.figure.median,
            "low": self.figure.low,
            "high": self.figure.high,
            "turns": self.figure.turns,
            "unit": self.figure.unit,
        }
        if self.of is not None:
            found["of"] = self.of
        if self.target is not None:
            found |= {"target": str(self.target), "met": self.met}
        if self.note is not None:
            found["note"] = self.note
        return found


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that this share of the values doesn't exceed; raises ValueError without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[int(rank) - 1]


def short(value: float) -> str:
    """Write a number with three significant digits, large ones whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
