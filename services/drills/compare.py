"""Was this drill better than the last? Two sets of drills compared, with a verdict that can hold back a plan.

Each segment, and each department's turnout, is tested for a slower and for a faster candidate: by the log-rank test
over all orders, those never answered included, and for turnout by Fisher's exact test on the share never answered.
Never answering is not censoring by chance: see `services.drills.survival` for how it is kept from looking fast. A
candidate of which more never answer can be worse by that alone, and is never called better.

**False alarms.** The tests of one direction are a family, held at ``alpha`` together by Holm's procedure (Holm, Scand.
J. Stat. 6 (1979) 65): the i-th smallest of k p-values is multiplied by k - i + 1. So ``--gate`` raises an alarm over
nothing in at most ``alpha`` of the comparisons, whatever depends on whatever; that something is falsely called better
has the same chance beside it.

**Insufficient data.** A test that could not fall below its threshold with the most extreme outcome these numbers allow
is not made, and takes nothing from the others (Tarone, Biometrics 46 (1990) 515). Its row says how many would do: n and
n such that 1 / C(2n, n) <= alpha / k.

**What is one observation.** Orders are taken as independent, as simulated departments are. Orders of one incident share
the time its alarm took, so for mobilization the incident is what chance deals: one incident beside one tells nothing.
Real departments may share more than that; compare several drills then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from math import comb, inf
from uuid import UUID
from zlib import crc32

from schemas.base import Text
from schemas.drill import Segment
from services.domain.segments import NEVER, Observation, Observations, Quantile, Summary, summarize
from services.drills.compare_notes import notes_on
from services.drills.reading import read_numbers
from services.drills.record import DrillError, DrillRow, Pool
from services.drills.survival import (
    NO_CHANCE,
    RESAMPLES,
    Chance,
    Interval,
    LogRank,
    Sample,
    log_rank,
    never_test,
    quantile_interval,
    slower,
    slower_interval,
)

ALPHA = 0.05
SEED = 7
SHARED = frozenset({Segment.MOBILIZATION})
"""Segments in which all orders of one incident hold the same piece of time."""
SILENCE = frozenset({Segment.TURNOUT})
"""Segments in which the share never answered is tested too; mobilization counts the same orders again."""
_RESAMPLES_PER_TEST = 10
"""Random rearrangements that lie beyond the threshold of the strictest test, at least."""


class Outcome(StrEnum):
    """What a comparison says. ``cant_tell`` is not "no difference": the interval says how large one may be."""

    BETTER = "better"
    WORSE = "worse"
    CANT_TELL = "cant_tell"
    INSUFFICIENT = "insufficient_data"


@dataclass(frozen=True, slots=True)
class Played:
    """A drill, what was observed in it, and what its departments are called."""

    drill: DrillRow
    observed: Observations
    names: Mapping[str, Text] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """The same span of time in the base and in the candidate."""

    segment: Segment
    department: str | None
    base: Sample
    candidate: Sample

    @property
    def seed_key(self) -> int:
        """A number of this pair's own, so that what chance deals here does not depend on the other rows."""
        return crc32(f"{self.segment.value}/{self.department or ''}".encode())


@dataclass(frozen=True, slots=True)
class Difference:
    """A percentile of the candidate less the base's, in seconds: positive is slower, infinite is never.

    ``value`` is None where either isn't told, and zero where both are never; ``interval`` where n is too small.
    """

    value: float | None
    interval: Interval


@dataclass(frozen=True, slots=True)
class Finding:
    """A row's verdict. ``p_worse`` and ``p_better`` are adjusted; None for a test that wasn't made.

    ``silence``: the share never answered is what makes it worse. ``needs``: how many on each side would do.
    """

    outcome: Outcome
    p_worse: float | None
    p_better: float | None
    silence: bool
    needs: int


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ``units`` are the incidents or orders that chance deals, of base and candidate."""

    segment: Segment
    department: str | None
    base: Summary
    candidate: Summary
    units: tuple[int, int]
    p50: Difference
    p90: Difference
    slower: float | None
    slower_interval: Interval
    log_rank: LogRank
    silence: Chance
    finding: Finding


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sets of drills compared. ``outcome``: worse if any row is, else better if any is, else what they say."""

    base: tuple[DrillRow, ...]
    candidate: tuple[DrillRow, ...]
    rows: tuple[Row, ...]
    outcome: Outcome
    alpha: float
    seed: int
    notes: tuple[Text, ...]
    names: Mapping[str, Text]


async def read_side(pool: "Pool", ids: Sequence[UUID]) -> tuple[Played, ...]:
    """Read drills that count as one set; raises `DrillError` for one that is unknown, named twice or under way."""
    found = []
    for id_ in ids:
        if ids.count(id_) > 1:
            raise DrillError(f"drill {id_}: named twice on one side; its orders would count twice")
        report = await read_numbers(pool, id_)
        if report.drill.ended_at is None:
            raise DrillError(f"drill {id_}: has not ended; compare it after its ENDEX")
        found.append(Played(report.drill, report.observed, report.titles.departments))
    return tuple(found)


def compare(
    base: Sequence[Played],
    candidate: Sequence[Played],
    *,
    segments: Sequence[Segment] = (),
    by_department: bool = False,
    alpha: float = ALPHA,
    seed: int = SEED,
) -> Comparison:
    """Compare two sets of drills over ``segments``, or over all that were observed; pure and the same for one seed."""
    pairs = pair_up(base, candidate, segments=segments, by_department=by_department)
    trials = [try_out(pair, seed=seed, resamples=_resamples(len(pairs), alpha)) for pair in pairs]
    findings = decide(pairs, trials, alpha)
    rows = tuple(
        _row(pair, tests, finding, alpha=alpha, seed=seed)
        for pair, tests, finding in zip(pairs, trials, findings, strict=True)
    )
    return Comparison(
        base=tuple(each.drill for each in base),
        candidate=tuple(each.drill for each in candidate),
        rows=rows,
        outcome=overall([finding.outcome for finding in findings]),
        alpha=alpha,
        seed=seed,
        notes=tuple(notes_on(base, candidate)),
        names={id_: name for played in (*base, *candidate) for id_, name in played.names.items()},
    )


def pair_up(
    base: Sequence[Played], candidate: Sequence[Played], *, segments: Sequence[Segment], by_department: bool
) -> list[Pair]:
    """Lay the samples side by side; a segment that nobody named and nobody was seen in is left out."""
    before, after = ([each for played in side for each in played.observed.found] for side in (base, candidate))
    pairs = [
        Pair(segment, None, _sample(before, segment), _sample(after, segment))
        for segment in (list(dict.fromkeys(segments)) or Segment)
    ]
    pairs = [pair for pair in pairs if segments or pair.base.n or pair.candidate.n]
    if not by_department:
        return pairs
    turnouts = [each for each in (*before, *after) if each.segment is Segment.TURNOUT]
    names = sorted({each.department for each in turnouts if each.department is not None})
    return pairs + [
        Pair(Segment.TURNOUT, name, _sample(before, Segment.TURNOUT, name), _sample(after, Segment.TURNOUT, name))
        for name in names
    ]


def _sample(found: Sequence[Observation], segment: Segment, department: str | None = None) -> Sample:
    own = [each for each in found if each.segment is segment and (department is None or each.department == department)]
    times = [inf if each.took is None else each.took.total_seconds() for each in own]
    return Sample.of(times, [each.incident_id for each in own] if segment in SHARED else None)


def _resamples(rows: int, alpha: float) -> int:
    return max(RESAMPLES, int(_RESAMPLES_PER_TEST * 2 * rows / alpha))


def try_out(pair: Pair, *, seed: int, resamples: int = RESAMPLES) -> tuple[LogRank, Chance]:
    """Make a pair's two tests: the log-rank one, and where it belongs the one on the share never answered."""
    silence = never_test(pair.base, pair.candidate) if pair.segment in SILENCE else NO_CHANCE
    return log_rank(pair.base, pair.candidate, seed=seed, resamples=resamples), silence


def decide(pairs: Sequence[Pair], trials: Sequence[tuple[LogRank, Chance]], alpha: float) -> list[Finding]:
    """Give every pair its verdict, the false alarms of all held at ``alpha`` in each direction."""
    chances = [chance for ranks, silence in trials for chance in (ranks.chance, silence)]
    worse, divisor = holm([each.worse for each in chances], [each.least_worse for each in chances], alpha)
    better, _ = holm([each.better for each in chances], [each.least_better for each in chances], alpha)
    needs = next(n for n in range(1, 100) if comb(2 * n, n) * alpha >= divisor)
    return [
        _finding(pair, (worse[place], worse[place + 1]), (better[place], better[place + 1]), alpha, needs)
        for place, pair in zip(range(0, len(chances), 2), pairs, strict=True)
    ]


Adjusted = tuple[float | None, float | None]


def _finding(pair: Pair, worse: Adjusted, better: Adjusted, alpha: float, needs: int) -> Finding:
    p_worse, p_better = (min((p for p in both if p is not None), default=None) for both in (worse, better))
    outcome = Outcome.INSUFFICIENT if worse[0] is None else Outcome.CANT_TELL
    if p_worse is not None and p_worse <= alpha:
        outcome = Outcome.WORSE
    elif p_better is not None and p_better <= alpha and not _more_never(pair):
        outcome = Outcome.BETTER
    silence = outcome is Outcome.WORSE and (worse[0] is None or worse[0] > alpha)
    return Finding(outcome, p_worse, p_better, silence, needs)


def _more_never(pair: Pair) -> bool:
    return pair.candidate.never * pair.base.n > pair.base.never * pair.candidate.n


def holm(p: Sequence[float], least: Sequence[float], alpha: float) -> tuple[list[float | None], int]:
    """Adjust p-values by Holm's procedure over the tests that can come to something; the others get None.

    ``least`` is the smallest value each could have had. Tarone's divisor k is the smallest number such that no more
    than k tests can reach alpha / k; those are the family. Gives the adjusted values and k.
    """
    divisor = next(k for k in range(1, len(p) + 2) if sum(each <= alpha / k for each in least) <= k)
    family = sorted((place for place, each in enumerate(least) if each <= alpha / divisor), key=lambda place: p[place])
    adjusted: list[float | None] = [None] * len(p)
    floor = 0.0
    for rank, place in enumerate(family):
        floor = max(floor, min(1.0, p[place] * (len(family) - rank)))
        adjusted[place] = floor
    return adjusted, divisor


def overall(outcomes: Sequence[Outcome]) -> Outcome:
    """Sum up the rows: one that is worse makes the whole worse, whatever else is better."""
    order = (Outcome.WORSE, Outcome.BETTER, Outcome.CANT_TELL)
    return next((each for each in order if each in outcomes), Outcome.INSUFFICIENT)


def _row(pair: Pair, tests: tuple[LogRank, Chance], finding: Finding, *, alpha: float, seed: int) -> Row:
    base, candidate = _summary(pair.base), _summary(pair.candidate)
    seed_here = (seed << 32) + pair.seed_key

    def difference(percent: int, before: Quantile, after: Quantile) -> Difference:
        interval = quantile_interval(pair.base, pair.candidate, percent, alpha=alpha, seed=seed_here)
        return Difference(_less(after, before), interval)

    return Row(
        segment=pair.segment,
        department=pair.department,
        base=base,
        candidate=candidate,
        units=(pair.base.dealt, pair.candidate.dealt),
        p50=difference(50, base.p50, candidate.p50),
        p90=difference(90, base.p90, candidate.p90),
        slower=slower(pair.base, pair.candidate),
        slower_interval=slower_interval(pair.base, pair.candidate, alpha=alpha, seed=seed_here),
        log_rank=tests[0],
        silence=tests[1],
        finding=finding,
    )


def _summary(sample: Sample) -> Summary:
    ended = sample.times[: sample.n - sample.never]
    return summarize([timedelta(seconds=float(each)) for each in ended], sample.never)


def _less(after: Quantile, before: Quantile) -> float | None:
    if after is None or before is None:
        return None
    if after is NEVER or before is NEVER:
        return 0.0 if after is before else inf if after is NEVER else -inf
    return (after - before).total_seconds()
