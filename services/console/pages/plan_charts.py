"""What a simulation found, drawn: distributions as curves of how many have ended by when, and bars of shares.

Places and sizes only; the templates draw them. There is no mean anywhere: a curve that never comes up to 100 % says
how many never end.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 420, 210
LEFT, RIGHT, TOP, BOTTOM = 42, 12, 10, 26
_NICE = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600,
         28_800, 43_200, 86_400, 172_800)  # fmt: skip
_TICKS_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """A percentile on a curve."""

    percent: int
    x: float
    y: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Curve:
    """How many have ended by when: ``line`` and ``field`` below it are SVG's points; above ``never`` nothing ends."""

    line: str
    field: str
    marks: tuple[Mark, ...]
    ticks: tuple[tuple[float, int], ...]
    scale: tuple[tuple[float, int], ...]
    never: float | None


def curve(seconds: Sequence[float | None], never: float) -> Curve | None:
    """Draw the times within which 1, 2, ... 100 % ended, None where these never did; None when nothing ended.

    ``never`` is the share that never ended.
    """
    ended = [value for value in seconds if value is not None]
    if not ended:
        return None
    latest = max(ended[-1], 1.0)
    step = next((nice for nice in _NICE if latest / nice <= _TICKS_AT_MOST), _NICE[-1])
    span = step * math.ceil(latest / step)

    def across(value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * value / span, 1)

    def up(percent: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * percent / 100, 1)

    points = [(across(ended[0]), up(0))]
    for percent, took in enumerate(ended, start=1):
        points += [(across(took), points[-1][1]), (across(took), up(percent))]
    points.append((WIDTH - RIGHT, points[-1][1]))
    line = " ".join(f"{x},{y}" for x, y in points)
    marks = tuple(
        Mark(percent, across(value), up(percent), value)
        for percent in (50, 90, 95)
        if (value := seconds[percent - 1]) is not None
    )
    return Curve(
        line=line,
        field=f"{line} {WIDTH - RIGHT},{up(0)} {points[0][0]},{up(0)}",
        marks=marks,
        ticks=tuple((across(at), at) for at in range(0, span + 1, step)),
        scale=tuple((up(percent), percent) for percent in (0, 50, 90, 100)),
        never=up(100 * (1 - never)) if never else None,
    )


@dataclass(frozen=True, slots=True)
class Worth:
    """What a deputy or a member of a quota buys: the same runs with and without it.

    Bars are parts of the longest; None for never, and for too few runs.
    """

    candidate: Mapping[str, Any]
    before: float | None
    after: float | None


def worths(candidates: Sequence[Mapping[str, Any]]) -> list[Worth]:
    """Draw the candidates, the most missed first."""
    times = [each["completion_p90"][side] for each in candidates for side in ("with", "without")]
    longest = max((value for value in times if isinstance(value, int | float)), default=0) or 1

    def part(value: object) -> float | None:
        return round(value / longest, 4) if isinstance(value, int | float) else None

    ordered = sorted(
        candidates,
        key=lambda each: (-each["runs_with_unfilled_task"]["difference"], -each["called_in"], each["department"]),
    )
    return [
        Worth(each, part(each["completion_p90"]["with"]), part(each["completion_p90"]["without"])) for each in ordered
    ]
