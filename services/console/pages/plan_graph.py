"""A plan drawn: a lane for each role, a bar for each task along its deadlines, an arrow for what waits for what.

Places and sizes only; the templates draw them. Time runs from left to right, the first minutes wider than the later
hours, as that is where a response is decided.
"""

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.base import parse_duration

WIDTH = 1_000
"""Width of the drawing in its own units; the page shows it at this size at least and scrolls."""
EDGE = 10
LANE_HEAD, ROW, BAR = 30, 38, 10
AXIS = 26
LETTER = 6.6
"""Width of a Latin letter in a label; a Chinese character takes two of them."""
_TICKS = (60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400, 172_800, 604_800)
_APART = 42


@dataclass(frozen=True, slots=True)
class Tick:
    """One line of the time's scale."""

    x: float
    seconds: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One task: where its order goes out, by when it is answered, started, and done, and where its label stands.

    ``anchor`` is SVG's. ``open``: it has no deadline for its end.
    """

    task: Mapping[str, Any]
    y: float
    begins: float
    answered: float
    started: float | None
    ends: float
    open: bool
    label: str
    label_x: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One role with its tasks."""

    role: str
    y: float
    height: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """From the end of a task to the begin of one that waits for it; ``path`` is SVG's."""

    before: str
    after: str
    path: str


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole drawing."""

    width: int
    height: float
    lanes: tuple[Lane, ...]
    arrows: tuple[Arrow, ...]
    ticks: tuple[Tick, ...]


def draw(tasks: Sequence[Mapping[str, Any]], roles: Iterable[str], titles: Mapping[str, str]) -> Graph:
    """Draw tasks as `GET /v1/plans/{plan}` gives them; ``titles`` has their labels."""
    latest = max((task["ends"] for task in tasks), default=60)
    lanes: list[Lane] = []
    y = float(AXIS)
    for role in roles:
        own = [task for task in tasks if task["role"] == role]
        if own:
            bars = tuple(
                _bar(task, y + LANE_HEAD + place * ROW, latest, titles[task["id"]]) for place, task in enumerate(own)
            )
            lanes.append(Lane(role, y, LANE_HEAD + len(own) * ROW, bars))
            y += LANE_HEAD + len(own) * ROW
    return Graph(WIDTH, y, tuple(lanes), tuple(_arrows(lanes)), tuple(_ticks(latest)))


def place(seconds: float, latest: float) -> float:
    """Say how far right a moment stands."""
    return round(EDGE + (WIDTH - 2 * EDGE) * math.log1p(seconds / 60) / math.log1p(max(latest, 60) / 60), 1)


def _bar(task: Mapping[str, Any], y: float, latest: float, title: str) -> Bar:
    begins, ends = place(task["begins"], latest), place(task["ends"], latest)
    left = begins < WIDTH * 0.6
    room = (WIDTH - EDGE - begins) if left else (max(ends, begins + 80) - EDGE)
    return Bar(
        task=task,
        y=y,
        begins=begins,
        answered=min(ends, place(task["begins"] + _seconds(task["acknowledge"]), latest)),
        started=min(ends, place(task["begins"] + _seconds(task["start"]), latest)) if task["start"] else None,
        ends=max(ends, begins + 3),
        open=task["complete"] is None,
        label=shorten(title, room),
        label_x=begins if left else min(max(ends, begins + 80), WIDTH - EDGE),
        anchor="start" if left else "end",
    )


def shorten(text: str, room: float) -> str:
    """Cut a label to the room there is."""
    used = 0.0
    for position, letter in enumerate(text):
        used += LETTER * (2 if unicodedata.east_asian_width(letter) in "WF" else 1)
        if used > room:
            return f"{text[: max(position - 1, 1)]}…"
    return text


def _arrows(lanes: Sequence[Lane]) -> Iterable[Arrow]:
    bars = {bar.task["id"]: bar for lane in lanes for bar in lane.bars}
    for bar in bars.values():
        for name in bar.task["after"]:
            if name in bars:
                yield Arrow(name, bar.task["id"], _path(bars[name], bar))


def _path(before: Bar, after: Bar) -> str:
    x1, y1, x2, y2 = before.ends, before.y + BAR / 2, after.begins, after.y + BAR / 2
    bend = 26 if x2 - x1 < 26 else (x2 - x1) / 2
    right = min(x1 + bend, WIDTH - 2)
    return f"M{x1} {y1}C{right} {y1} {max(x2 - bend, 2)} {y2} {x2} {y2}"


def _ticks(latest: float) -> Iterable[Tick]:
    yield Tick(place(0, latest), 0)
    last = place(0, latest)
    for seconds in _TICKS:
        x = place(seconds, latest)
        if seconds <= latest and x - last >= _APART:
            yield Tick(x, seconds)
            last = x


def _seconds(written: str) -> float:
    return float(parse_duration(written).total_seconds())
