"""What a study of a plan finds: how long, what decides, how often nobody is left, and what each candidate is worth."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import TypeVar

from services.domain.segments import Quantile, Summary, summarize
from services.drills.critical import Why
from services.drills.simulate_outcome import Outcome, Work
from services.drills.simulate_study import Candidate, Study, Without


@dataclass(frozen=True, slots=True)
class WorkRow:
    """One task. Shares lie between 0 and 1.

    ``on_path``: share of the runs whose critical path leads through it; ``of_path``: its share of the time of the
    critical paths of the runs that were completed, None when none was; ``last``: share of the runs in which it was
    the last of the first orders to be taken on; ``unfilled``: share of the runs in which too few ever took it on.
    """

    work: Work
    mobilization: Summary
    on_path: float
    of_path: float | None
    last: float
    unfilled: float


@dataclass(frozen=True, slots=True)
class RoleRow:
    """One role of a plan; shares as in `WorkRow`."""

    plan: str
    role: str
    on_path: float
    of_path: float | None


@dataclass(frozen=True, slots=True)
class Chain:
    """A critical path that several runs share: its tasks, each with what led to its order. ``never``: it had no end."""

    steps: tuple[tuple[Work, Why], ...]
    never: bool
    share: float
    p50: Quantile


@dataclass(frozen=True, slots=True)
class Counts:
    """How often something happened in a run: nearest-rank percentiles, the most, and the share of runs with any."""

    p50: int
    p90: int
    most: int
    any: float


@dataclass(frozen=True, slots=True)
class Worth:
    """What a candidate buys: the runs as they are, beside the same seeds without the candidate."""

    candidate: Candidate
    called: float
    first_orders: tuple[Quantile, Quantile]
    completion: tuple[Quantile, Quantile]
    unfilled: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a study finds; the tasks and roles that decide most often come first.

    ``mobilization`` is over the orders of all runs (alarm handling and turnout, as in a drill's report),
    ``first_orders`` and ``completion`` are one time a run, as `Outcome` defines them.
    """

    runs: int
    level: str | None
    mobilization: Summary
    first_orders: Summary
    completion: Summary
    works: tuple[WorkRow, ...]
    roles: tuple[RoleRow, ...]
    chains: tuple[Chain, ...]
    unfilled: float
    reminders: Counts
    escalations: Counts
    by_step: tuple[tuple[str, Counts], ...]
    worth: tuple[Worth, ...]


def find(study: Study) -> Findings:
    """Sum up a study."""
    outcomes = study.outcomes
    steps = sorted({step for outcome in outcomes for step, _ in outcome.escalations})
    return Findings(
        runs=len(outcomes),
        level=outcomes[0].level,
        mobilization=_summary(took for outcome in outcomes for _, took in outcome.mobilization),
        first_orders=_summary(outcome.first_orders for outcome in outcomes),
        completion=_summary(outcome.completion for outcome in outcomes),
        works=_works(study),
        roles=_roles(study),
        chains=_chains(outcomes),
        unfilled=_share(bool(outcome.unfilled) for outcome in outcomes),
        reminders=_counts([outcome.reminders for outcome in outcomes]),
        escalations=_counts([sum(number for _, number in outcome.escalations) for outcome in outcomes]),
        by_step=tuple((step, _counts([dict(each.escalations).get(step, 0) for each in outcomes])) for step in steps),
        worth=tuple(_worth(outcomes, each) for each in study.without),
    )


def _summary(times: Iterable[timedelta | None]) -> Summary:
    known = list(times)
    ended = [took for took in known if took is not None]
    return summarize(ended, len(known) - len(ended))


def _share(facts: Iterable[bool]) -> float:
    known = list(facts)
    return sum(known) / len(known)


def _counts(numbers: Sequence[int]) -> Counts:
    ordered = sorted(numbers)
    p50, p90 = (ordered[ceil(len(ordered) * percent / 100) - 1] for percent in (50, 90))
    return Counts(p50, p90, ordered[-1], _share(number > 0 for number in numbers))


Key = TypeVar("Key")


def _on_paths(
    outcomes: Sequence[Outcome], key: Callable[[Work], Key]
) -> tuple[Counter[Key], dict[Key, timedelta], timedelta]:
    """Count the runs whose path leads through each task or role, and the time that paths with an end spend there."""
    runs: Counter[Key] = Counter()
    time: dict[Key, timedelta] = {}
    total = timedelta(0)
    for outcome in outcomes:
        runs.update({key(stage.work) for stage in outcome.path})
        if outcome.completion is None:
            continue
        for stage in outcome.path:
            time[key(stage.work)] = time.get(key(stage.work), timedelta(0)) + stage.took
            total += stage.took
    return runs, time, total


def _works(study: Study) -> tuple[WorkRow, ...]:
    outcomes = study.outcomes
    runs, time, total = _on_paths(outcomes, lambda work: work)
    mobilized: dict[Work, list[timedelta | None]] = {work: [] for work in study.asked}
    for outcome in outcomes:
        for work, took in outcome.mobilization:
            mobilized[work].append(took)
    last = Counter(outcome.last_taken_on for outcome in outcomes)
    unfilled = Counter(work for outcome in outcomes for work in outcome.unfilled)
    rows = [
        WorkRow(
            work=work,
            mobilization=_summary(mobilized[work]),
            on_path=runs[work] / len(outcomes),
            of_path=time.get(work, timedelta(0)) / total if total else None,
            last=last[work] / len(outcomes),
            unfilled=unfilled[work] / len(outcomes),
        )
        for work in study.asked
    ]
    return tuple(sorted(rows, key=lambda row: (-row.on_path, -(row.of_path or 0), row.work)))


def _roles(study: Study) -> tuple[RoleRow, ...]:
    runs, time, total = _on_paths(study.outcomes, lambda work: (work.plan, work.role))
    rows = [
        RoleRow(*role, runs[role] / len(study.outcomes), time.get(role, timedelta(0)) / total if total else None)
        for role in sorted({(work.plan, work.role) for work in study.asked})
    ]
    return tuple(sorted(rows, key=lambda row: (-row.on_path, -(row.of_path or 0), row.plan, row.role)))


def _chains(outcomes: Sequence[Outcome]) -> tuple[Chain, ...]:
    found: dict[tuple[tuple[tuple[Work, Why], ...], bool], list[timedelta | None]] = {}
    for outcome in outcomes:
        steps = tuple((stage.work, stage.why) for stage in outcome.path)
        found.setdefault((steps, outcome.completion is None), []).append(outcome.completion)
    rows = [
        Chain(steps, never, len(times) / len(outcomes), _summary(times).p50) for (steps, never), times in found.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.share, row.never, row.steps)))


def _worth(outcomes: Sequence[Outcome], without: Without) -> Worth:
    briefs = without.briefs
    return Worth(
        candidate=without.candidate,
        called=without.called / len(outcomes),
        first_orders=(_p90(each.first_orders for each in outcomes), _p90(each.first_orders for each in briefs)),
        completion=(_p90(each.completion for each in outcomes), _p90(each.completion for each in briefs)),
        unfilled=(_share(bool(each.unfilled) for each in outcomes), _share(each.unfilled for each in briefs)),
    )


def _p90(times: Iterable[timedelta | None]) -> Quantile:
    return _summary(times).p90
