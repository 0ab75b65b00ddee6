"""Many simulated responses to one report, and what they say about a plan: its times, its bottlenecks, its deputies.

Runs share nothing but the setting, and the course of a department in a task depends on seed, department and task
alone. So when a candidate is taken out and the same seeds are played again, whatever differs is that candidate's doing
(common random numbers), and a run in which the candidate was never called needs no second look: it stays as it is.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import repeat

from services.domain.matching import PlanIndex
from services.domain.plan import Plan, Role
from services.domain.playbook import Playbook
from services.drills.simulate import Setting, simulate
from services.drills.simulate_outcome import Outcome, Work, asked, outcome_of, work_of

SEED_BITS = 31


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A department that can be called for a role of a plan, beside or after others."""

    plan: str
    role: str
    department: str


@dataclass(frozen=True, slots=True)
class Brief:
    """What a run came to without a candidate. Times as in `Outcome`."""

    first_orders: timedelta | None
    completion: timedelta | None
    unfilled: bool


@dataclass(frozen=True, slots=True)
class Without:
    """All runs with one candidate taken out, in the order of the seeds; ``called`` counts those it was called in."""

    candidate: Candidate
    called: int
    briefs: tuple[Brief, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """All runs, by seed in the order drawn; what the plans ask for; and the runs without each candidate."""

    setting: Setting
    outcomes: tuple[Outcome, ...]
    asked: tuple[Work, ...]
    without: tuple[Without, ...]


Job = tuple[Candidate | None, int]
"""A run of a seed, with everybody or without one."""
Player = Callable[[Sequence[Job]], Iterator[Outcome | Brief]]
"""Plays jobs and gives what they came to, in their order."""


def draw_seeds(seed: int, runs: int) -> list[int]:
    """Draw a seed for each run; more runs of one seed begin with the same ones. Raises ValueError without a run."""
    if runs < 1:
        raise ValueError("runs: play at least one")
    chance = random.Random(seed)  # noqa: S311 (a simulation, no secret)
    return [chance.getrandbits(SEED_BITS) for _ in range(runs)]


def play(setting: Setting, jobs: Iterable[Job]) -> Iterator[Outcome | Brief]:
    """Play jobs one after another; each depends on itself alone, so that they may be shared out."""
    last: tuple[Candidate | None, Setting] = (None, setting)
    for candidate, seed in jobs:
        if candidate is None:
            yield outcome_of(setting, simulate(setting, seed))
            continue
        if last[0] != candidate:
            last = (candidate, take_out(setting, candidate))
        yield _brief(outcome_of(last[1], simulate(last[1], seed)))


def study(setting: Setting, seeds: Sequence[int], player: Player | None = None) -> Study:
    """Play all runs, then again without each candidate where it was called. Raises ValueError as `outcome_of`."""
    do = player or (lambda jobs: play(setting, jobs))
    outcomes = [each for each in do(list(zip(repeat(None), seeds))) if isinstance(each, Outcome)]
    works = tuple(sorted({work_of(*each) for each in asked(setting, simulate(setting, seeds[0]))}))
    candidates = list(_candidates(setting, works))
    jobs: list[Job] = [
        (candidate, outcome.seed) for candidate in candidates for outcome in outcomes if _was_called(outcome, candidate)
    ]
    played = iter(do(jobs))
    without = []
    for candidate in candidates:
        briefs = [next(played) if _was_called(outcome, candidate) else _brief(outcome) for outcome in outcomes]
        missed = sum(_was_called(outcome, candidate) for outcome in outcomes)
        without.append(Without(candidate, missed, tuple(each for each in briefs if isinstance(each, Brief))))
    return Study(setting, tuple(outcomes), works, tuple(without))


def _was_called(outcome: Outcome, candidate: Candidate) -> bool:
    return (candidate.plan, candidate.role, candidate.department) in outcome.called


def _brief(outcome: Outcome) -> Brief:
    return Brief(outcome.first_orders, outcome.completion, bool(outcome.unfilled))


def _candidates(setting: Setting, works: Sequence[Work]) -> Iterator[Candidate]:
    """List the deputies, and for a quota everybody; a role's own department is what the plan stands on."""
    for plan, role in sorted({(work.plan, work.role) for work in works}):
        owner = _plan(setting, plan).roles[role]
        spare = owner.candidates if owner.wait is not None else owner.candidates[1:]
        yield from (Candidate(plan, role, department) for department in spare)


def _plan(setting: Setting, plan: str) -> Plan:
    return setting.playbook.published.by_id[plan]


def take_out(setting: Setting, candidate: Candidate) -> Setting:
    """Give the same setting with one candidate less; the plan keeps its digest, as nothing else may change."""
    plans = [
        _lacking(plan, candidate) if plan.id == candidate.plan else plan
        for plan in setting.playbook.published.by_id.values()
    ]
    by_id = {plan.id: plan for plan in plans}
    playbook = Playbook(PlanIndex(plans), {plan.digest: plan for plan in plans}, setting.playbook.directory)
    return replace(setting, plan=by_id[setting.plan.id], playbook=playbook)


def _lacking(plan: Plan, candidate: Candidate) -> Plan:
    def lacking(role: Role) -> Role:
        if role.id != candidate.role:
            return role
        return replace(role, candidates=tuple(name for name in role.candidates if name != candidate.department))

    return replace(plan, roles={name: lacking(role) for name, role in plan.roles.items()})
