"""Are the drills of a plan getting better? Their numbers in order, and the last one against all before it together."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from schemas.drill import Segment
from services.domain.segments import NEVER, Quantile, Summary, summarize
from services.drills.compare import ALPHA, SEED, Comparison, Played, compare, read_side
from services.drills.record import DrillError, DrillRow, Ending, Pool

LAST = 10
HEADLINES = (Segment.MOBILIZATION, Segment.TURNOUT)
"""What a trend is about unless told otherwise."""
_WHOLE = [Ending.FINISHED.value, Ending.TIME_OVER.value]
_BARS = "▁▂▃▄▅▆▇█"
_NEVER, _UNTOLD = "×", "·"
_DRILLS_OF_PLAN = """
SELECT id FROM drills WHERE document -> 'plans' ? $1 AND ending = ANY ($2::text[])
ORDER BY started_at DESC, id DESC LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One segment over the drills, the oldest first."""

    segment: Segment
    summaries: tuple[Summary, ...]

    @property
    def sparklines(self) -> tuple[str, str]:
        """Draw p50 and p90."""
        return sparkline([each.p50 for each in self.summaries]), sparkline([each.p90 for each in self.summaries])


@dataclass(frozen=True, slots=True)
class Trend:
    """A plan's last drills, the oldest first; ``last`` is None where there is nothing to compare with."""

    plan: str
    drills: tuple[DrillRow, ...]
    lines: tuple[Line, ...]
    last: Comparison | None


async def read_history(pool: "Pool", plan: str, last: int) -> tuple[Played, ...]:
    """Read the last drills that exercised a plan and ran to their end, the oldest first.

    Raises `DrillError` when there is none.
    """
    rows = await pool.fetch(_DRILLS_OF_PLAN, plan, _WHOLE, last)
    if not rows:
        raise DrillError(f'plan "{plan}": no drill of it that ran to its end is on record; see `muster drill list`')
    return await read_side(pool, [row["id"] for row in reversed(rows)])


def trend_of(
    plan: str,
    history: Sequence[Played],
    *,
    segments: Sequence[Segment] = (),
    alpha: float = ALPHA,
    seed: int = SEED,
) -> Trend:
    """Sum up drills that stand in order, and compare the last with all before it taken together."""
    chosen = tuple(dict.fromkeys(segments)) or HEADLINES
    earlier, last = history[:-1], history[-1:]
    return Trend(
        plan=plan,
        drills=tuple(played.drill for played in history),
        lines=tuple(
            Line(segment, tuple(summarize(*played.observed.of(segment)) for played in history)) for segment in chosen
        ),
        last=compare(earlier, last, segments=chosen, alpha=alpha, seed=seed) if earlier else None,
    )


def sparkline(values: Sequence[Quantile]) -> str:
    """Draw percentiles from the shortest to the longest; × is never, · is not told."""
    numbers = [None if value is None else inf if value is NEVER else value.total_seconds() for value in values]
    told = [number for number in numbers if number is not None and number < inf]
    low, high = (min(told), max(told)) if told else (0.0, 0.0)

    def bar(number: float | None) -> str:
        if number is None:
            return _UNTOLD
        if number == inf:
            return _NEVER
        place = (number - low) / (high - low) if high > low else 0.0
        return _BARS[round(place * (len(_BARS) - 1))]

    return "".join(bar(number) for number in numbers)
