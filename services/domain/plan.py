"""A plan as the engine sees it: compiled, with conditions as plain callables. Authored form: `schemas.plan`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from schemas.base import Text
from schemas.incident import IncidentReport
from schemas.plan import STANDBY
from schemas.vocabulary import (
    ActivationMode,
    Category,
    Certainty,
    Clock,
    EscalationStep,
    PlanKind,
    Severity,
    Urgency,
)


class ConditionError(Exception):
    """A condition could not be decided for this incident, as when it reads a parameter that was not reported."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A written condition and the function that decides it.

    ``holds`` takes the incident as last reported and the current level (None before one is chosen); it raises
    `ConditionError` with one sentence when it can't tell.
    """

    source: str
    holds: Callable[[IncidentReport, str | None], bool]


@dataclass(frozen=True, slots=True)
class Once:
    """Reports that agree in ``by`` within ``window`` open one response."""

    window: timedelta
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Which incidents a plan answers; see `schemas.plan.MatchRule`. ``events`` and ``areas`` are case-folded."""

    categories: frozenset[Category]
    events: tuple[str, ...] = ()
    severity: Severity | None = None
    urgency: Urgency | None = None
    certainty: Certainty | None = None
    areas: tuple[str, ...] = ()
    when: Condition | None = None
    priority: int = 50
    once: Once | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """A response level; the first in the plan's order whose condition holds is chosen."""

    id: str
    title: Text
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """Who may fill a function: ``candidates`` in calling order, of whom ``needed`` must agree.

    ``wait`` is set for a quota: after so long in silence the next is called, the silent one not released.
    """

    id: str
    title: Text
    candidates: tuple[str, ...]
    needed: int = 1
    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung of an escalation ladder."""

    step: EscalationStep
    wait: timedelta


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work. ``levels`` None means every level. ``citation`` and ``to`` are set for statutory reports."""

    id: str
    role: str
    title: Text
    done_when: Text
    acknowledge: timedelta
    instructions: Text | None = None
    levels: frozenset[str] | None = None
    start: timedelta | None = None
    complete: timedelta | None = None
    clock: Clock = Clock.ISSUED
    after: tuple[str, ...] = ()
    when: Condition | None = None
    read_back: bool = False
    ladder: tuple[Rung, ...] = ()
    stand_down: bool = False
    to: Text | None = None
    citation: Text | None = None

    def at(self, level: str | None) -> bool:
        """Say whether the task belongs to a level; None stands for standby."""
        if level is None:
            return self.levels is not None and STANDBY in self.levels
        return self.levels is None or level in self.levels


@dataclass(frozen=True, slots=True)
class Call:
    """Another plan that is put into force beside this one."""

    plan: str
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled plan; ``digest`` is the SHA-256 (hex) of its canonical document and names this exact wording."""

    id: str
    version: int
    digest: str
    title: Text
    kind: PlanKind
    owner: str
    match: Match
    mode: ActivationMode
    levels: tuple[Level, ...]
    roles: Mapping[str, Role]
    tasks: Mapping[str, Task]
    review_by: date
    confirm_within: timedelta | None = None
    stand_down_on_cancel: bool = False
    calls: tuple[Call, ...] = ()
    summary: Text | None = field(default=None, compare=False)
    followers: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    """By task: those that come right after it."""

    def __post_init__(self) -> None:
        """Turn round what comes after what."""
        followers: dict[str, tuple[str, ...]] = {}
        for task in self.tasks.values():
            for name in dict.fromkeys(task.after):
                followers[name] = (*followers.get(name, ()), task.id)
        object.__setattr__(self, "followers", followers)

    def level_ids(self) -> tuple[str, ...]:
        """List the plan's levels, highest first."""
        return tuple(level.id for level in self.levels)
