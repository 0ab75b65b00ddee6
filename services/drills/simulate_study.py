"""Many simulated responses to one report, and what they say about a plan: its times, its bottlenecks, its deputies.

Runs share nothing but the setting, and the course of a department in a task depends on seed, department and task
alone. So when a candidate is taken out and the same seeds are played again, whatever differs is that candidate's doing
(common random numbers), and a run in which the candidate was never called needs no second look: it stays as it is.
Of the others only the parts are played again that could call it.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from services.domain.plan import Plan, Role
from services.drills.simulate import Prepared, Run, Setting, prepare, simulate
from services.drills.simulate_outcome import (
    Asked,
    Brief,
    Outcome,
    Piece,
    Work,
    activation_of,
    asked,
    brief_of,
    pieces_of,
    reckon,
)
from services.drills.simulate_parts import parts_of, with_plans

SEED_BITS = 31


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A department that can be called for a role of a plan, beside or after others."""

    plan: str
    role: str
    department: str


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


@dataclass(frozen=True, slots=True)
class Played:
    """A seed with everybody, and without each candidate: None where it was not called, and nothing is different."""

    outcome: Outcome
    without: tuple[Brief | None, ...]


@dataclass(frozen=True, slots=True)
class _PreparedPart:
    """A part of the response, and the same without each of the candidates that it could call, by their places."""

    asked: tuple[Asked, ...]
    everybody: Prepared
    without: tuple[tuple[int, Prepared], ...]


class Stage:
    """What the runs of a study have in common, so that each depends on its seed alone and they may be shared out.

    ``activation`` is the plan's: what the departments do has no say in it.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        whole = simulate(setting, 0)
        self.asked = tuple(asked(setting, whole))
        self.activation = activation_of(setting, whole)
        works = [each.work for each in self.asked]
        self.candidates = tuple(_candidates(setting, works))
        self._parts = tuple(self._prepare())

    def _prepare(self) -> Iterator[_PreparedPart]:
        for part in parts_of(self.setting):
            without = tuple(
                (place, prepare(take_out(part.setting, candidate)).of_plan(part.plan))
                for place, candidate in enumerate(self.candidates)
                if candidate.plan == part.plan and candidate.role in part.roles
            )
            here = (each for each in self.asked if each.work.plan == part.plan and each.work.task in part.tasks)
            yield _PreparedPart(tuple(here), prepare(part.setting).of_plan(part.plan), without)

    def play(self, seed: int) -> Played:
        """Play one seed. Raises ValueError when the plan has no orders to give."""
        courses = cache(self.setting.draw)

        def run(prepared: Prepared) -> Run:
            return prepared.play(seed, courses)

        runs = [run(part.everybody) for part in self._parts]
        found = {
            piece.work: piece
            for part, played in zip(self._parts, runs, strict=True)
            for piece in pieces_of(part.asked, played)
        }
        outcome = reckon(self.setting, self.activation, [found[each.work] for each in self.asked], runs)
        changed: dict[int, dict[Work, Piece]] = {}
        for part in self._parts:
            for place, prepared in part.without:
                if _was_called(outcome, self.candidates[place]):
                    pieces = pieces_of(part.asked, run(prepared))
                    changed.setdefault(place, {}).update((piece.work, piece) for piece in pieces)
        briefs = (
            None if place not in changed else self._brief(found | changed[place])
            for place in range(len(self.candidates))
        )
        return Played(outcome, tuple(briefs))

    def _brief(self, pieces: Mapping[Work, Piece]) -> Brief:
        return brief_of(self.setting, self.activation, [pieces[each.work] for each in self.asked])


Player = Callable[[Sequence[int]], Iterable[Played]]
"""Plays seeds and gives what they came to, in their order."""


def draw_seeds(seed: int, runs: int) -> list[int]:
    """Draw a seed for each run; more runs of one seed begin with the same ones. Raises ValueError without a run."""
    if runs < 1:
        raise ValueError("runs: play at least one")
    chance = random.Random(seed)  # noqa: S311 (a simulation, no secret)
    return [chance.getrandbits(SEED_BITS) for _ in range(runs)]


def study(stage: Stage, seeds: Sequence[int], player: Player | None = None) -> Study:
    """Play all runs, with everybody and without each candidate where it was called. Raises ValueError as `Stage`."""
    played = list((player or (lambda each: map(stage.play, each)))(seeds))
    without = [
        Without(
            candidate,
            sum(each.without[place] is not None for each in played),
            tuple(each.without[place] or _same(each.outcome) for each in played),
        )
        for place, candidate in enumerate(stage.candidates)
    ]
    works = tuple(sorted({each.work for each in stage.asked}))
    return Study(stage.setting, tuple(each.outcome for each in played), works, tuple(without))


def _was_called(outcome: Outcome, candidate: Candidate) -> bool:
    return (candidate.plan, candidate.role, candidate.department) in outcome.called


def _same(outcome: Outcome) -> Brief:
    return Brief(outcome.first_orders, outcome.completion, bool(outcome.unfilled))


def _candidates(setting: Setting, works: Sequence[Work]) -> Iterator[Candidate]:
    """List the deputies, and for a quota everybody; a role's own department is what the plan stands on."""
    for plan, role in sorted({(work.plan, work.role) for work in works}):
        owner = setting.playbook.published.by_id[plan].roles[role]
        spare = owner.candidates if owner.wait is not None else owner.candidates[1:]
        yield from (Candidate(plan, role, department) for department in spare)


def take_out(setting: Setting, candidate: Candidate) -> Setting:
    """Give the same setting with one candidate less."""
    plans = setting.playbook.published.by_id.values()
    return with_plans(setting, [_lacking(plan, candidate) if plan.id == candidate.plan else plan for plan in plans])


def _lacking(plan: Plan, candidate: Candidate) -> Plan:
    def lacking(role: Role) -> Role:
        if role.id != candidate.role:
            return role
        return replace(role, candidates=tuple(name for name in role.candidates if name != candidate.department))

    return replace(plan, roles={name: lacking(role) for name, role in plan.roles.items()})
