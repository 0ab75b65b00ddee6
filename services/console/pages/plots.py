"""Where the marks of server-made pictures go: numbers in, coordinates out. The templates draw them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

Value = float | str | None
"""Seconds, ``"never"``, or None for what isn't told."""

WIDTH = 720.0
"""Width of a picture in its own units; the page stretches it."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One line of a scale, with what stands at it."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Spark:
    """A small line over months or drills. ``lines`` are runs of points; ``nevers`` stand at the top edge."""

    width: float
    height: float
    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    nevers: tuple[float, ...]


def spark(values: Sequence[Value], width: float = 150.0, height: float = 34.0) -> Spark:
    """Draw values in order, the lowest at the bottom; what isn't told leaves a gap, and never is no height at all."""
    told = [value for value in values if isinstance(value, int | float)]
    low, high = (min(told), max(told)) if told else (0.0, 1.0)
    step = (width - 10) / max(len(values) - 1, 1)

    def place(number: int, value: float) -> tuple[float, float]:
        part = (value - low) / (high - low) if high > low else 0.5
        return round(5 + number * step, 1), round(height - 5 - part * (height - 14), 1)

    runs: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(values):
        if isinstance(value, int | float):
            runs[-1].append(place(number, value))
        elif runs[-1]:
            runs.append([])
    dots = tuple(point for run in runs for point in run)
    nevers = tuple(round(5 + number * step, 1) for number, value in enumerate(values) if value == "never")
    return Spark(width, height, tuple(_points(run) for run in runs if len(run) > 1), dots, nevers)


def _points(run: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in run)


@dataclass(frozen=True, slots=True)
class Row:
    """How likely an order is slower than before, with its interval, between none (left) and all (right)."""

    width: float
    height: float
    left: float
    right: float
    half: float
    y: float
    low: float | None
    high: float | None
    value: float | None
    outcome: str


def forest(found: dict[str, Any], outcome: str) -> Row:
    """Place one row's probability of being slower; the middle is as likely as not."""
    left, right = 6.0, 174.0

    def x(part: float) -> float:
        return round(left + part * (right - left), 1)

    low, high = found["interval"] or (None, None)
    return Row(
        width=180.0,
        height=22.0,
        left=left,
        right=right,
        half=x(0.5),
        y=11.0,
        low=None if low is None else x(low),
        high=None if high is None else x(high),
        value=None if found["value"] is None else x(found["value"]),
        outcome=outcome,
    )


def _nice(value: float) -> float:
    """Give the next round number: 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= value * 0.999)


@dataclass(frozen=True, slots=True)
class Curves:
    """Which share had answered after how long, of base and candidate; who never did keeps a curve below the top."""

    width: float
    height: float
    base: str
    candidate: str
    ticks: tuple[Tick, ...]


HEIGHT = 180.0


def curves(found: dict[str, Sequence[Sequence[float]]]) -> Curves:
    """Draw two step curves on one scale of time."""
    sides = {name: [(float(time), float(part)) for time, part in found[name]] for name in ("base", "candidate")}
    longest = _nice(max((time for steps in sides.values() for time, _ in steps), default=1.0))

    def x(time: float) -> float:
        return round(34 + time / longest * (WIDTH - 44), 1)

    def y(part: float) -> float:
        return round(HEIGHT - 22 - part * (HEIGHT - 32), 1)

    def line(steps: Sequence[tuple[float, float]]) -> str:
        path, height = [f"M{x(0)} {y(0)}"], 0.0
        for time, part in steps:
            path.append(f"H{x(time)}V{y(part)}")
            height = part
        return "".join([*path, f"H{x(longest)}"]) if height or steps else ""

    ticks = tuple(Tick(x(longest * part / 4), longest * part / 4) for part in range(5))
    return Curves(WIDTH, HEIGHT, line(sides["base"]), line(sides["candidate"]), ticks)


@dataclass(frozen=True, slots=True)
class Dot:
    """One order: where it stands, and whether it kept its time."""

    x: float
    y: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Dots:
    """Orders one by one over the time that their answers took; those that never came stand apart at the right."""

    width: float
    height: float
    never_from: float
    ticks: tuple[Tick, ...]
    dots: tuple[Dot, ...]


def dots(orders: Sequence[dict[str, Any]]) -> Dots:
    """Place each order by its turnout; those of one place are stacked."""
    told = [order for order in orders if order["took"] is not None]
    numbers = [order["took"] for order in told if order["took"] != "never"]
    longest = _nice(max(numbers, default=60.0))
    edge = WIDTH - 70
    stacks: dict[int, int] = {}
    found = []
    for order in told:
        is_never = order["took"] == "never"
        x = WIDTH - 36 if is_never else 12 + order["took"] / longest * (edge - 30)
        column = round(x / 9)
        level = stacks[column] = stacks.get(column, 0) + 1
        kind = "never" if is_never else "late" if order["within"] is False else "kept"
        found.append(Dot(round(column * 9.0, 1), float(level), kind, f"{order['issued_at'][:16]} {order['task']}"))
    tallest = max(stacks.values(), default=1)
    rows = min(max(tallest, 4), 24)
    pitch = max(4.0, min(9.0, 180 / tallest))
    height = ceil(rows * pitch) + 34
    placed = tuple(Dot(dot.x, round(height - 24 - (dot.y - 0.5) * pitch, 1), dot.kind, dot.label) for dot in found)
    ticks = tuple(Tick(round(12 + (edge - 30) * part / 4, 1), longest * part / 4) for part in range(5))
    return Dots(WIDTH, float(height), edge, ticks, placed)
