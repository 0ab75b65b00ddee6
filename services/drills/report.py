"""What there is to say about one drill, row by row; `services.drills.reading` reads it back from Postgres."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from schemas.base import Text
from schemas.drill import InjectRule, ObjectiveRule, Segment
from schemas.timeline import Entry
from schemas.vocabulary import AssignmentState
from services.domain.incident import Deadline
from services.domain.segments import Observations, Quantile, Summary
from services.drills.corrections import Correction
from services.drills.improvements import Improvement
from services.drills.ratings import Rated
from services.drills.record import DrillRow
from services.drills.titles import Documents, Titles


class Verdict(StrEnum):
    """Whether an objective was met. ``partly_met``: at least half of it; ``not_observed``: too little happened."""

    MET = "met"
    PARTLY_MET = "partly_met"
    NOT_MET = "not_met"
    NOT_OBSERVED = "not_observed"


@dataclass(frozen=True, slots=True)
class ObjectiveRow:
    """An objective with the number that decides it: a time or a share, of ``n`` observations."""

    rule: ObjectiveRule
    verdict: Verdict
    value: Quantile | float
    n: int


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One time segment over all departments."""

    segment: Segment
    target: timedelta | None
    summary: Summary
    impossible: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One assignment's life. ``deadlines`` are those it had; ``missed`` the ones that passed unmet."""

    id: UUID
    incident_id: UUID
    activation_id: UUID
    department: str
    task: str
    role: str
    title: Text
    state: AssignmentState
    issued_at: datetime
    delivered_at: datetime | None
    acknowledged_at: datetime | None
    committed_at: datetime | None
    declined_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    ended_at: datetime
    deadlines: Mapping[Deadline, datetime]
    missed: tuple[Deadline, ...]
    never_answered: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class DepartmentRow:
    """One department in numbers. ``orders`` are all it was given; ``cut_short`` those taken back before their time."""

    id: str
    title: Text
    orders: int
    answered: int
    declined: int
    never: int
    cut_short: int
    completed: int
    late: int
    turnout: Summary


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of the timeline with the words for what it speaks of.

    ``at`` is when it happened, by the last correction if there is one; ``recorded_as`` what the timeline itself says.
    """

    id: UUID
    incident_id: UUID
    activation_id: UUID | None
    assignment_id: UUID | None
    at: datetime
    recorded_as: datetime
    corrections: tuple[Correction, ...]
    entry: Entry
    department: str | None
    task: Text | None
    attention: bool
    by: str | None
    reason: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ObstacleRow:
    """One obstacle, its owner, and when it was out of the way."""

    department: str
    task: Text
    description: str
    owner: str
    reported_at: datetime
    taken_at: datetime | None
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class InjectRow:
    """One row of the MSEL, when it was played, and what was decided about it; None where it was not played.

    ``rating``: whether what it expected was seen, and ``because`` why; None where only an evaluator can tell.
    """

    rule: InjectRule
    played_at: datetime | None = None
    outcome: str | None = None
    rating: str | None = None
    because: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One plan that answered one of the drill's incidents, by the wording it obeyed."""

    id: UUID
    incident_id: UUID
    plan: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Report:
    """All there is to say about one drill. Times are the scenario's. ``ratings`` are evaluators', by objective."""

    drill: DrillRow
    ended_at: datetime
    titles: Titles
    documents: Documents
    observed: Observations
    responses: tuple[Response, ...]
    objectives: tuple[ObjectiveRow, ...]
    segments: tuple[SegmentRow, ...]
    departments: tuple[DepartmentRow, ...]
    bars: tuple[Bar, ...]
    obstacles: tuple[ObstacleRow, ...]
    injects: tuple[InjectRow, ...]
    timeline: tuple[Moment, ...]
    improvements: tuple[Improvement, ...]
    cut_short: int
    ratings: Mapping[str, Rated] = field(default_factory=dict)

    @property
    def duration(self) -> timedelta:
        """From STARTEX to ENDEX, in the scenario's time."""
        return self.ended_at - self.drill.started_at

    @property
    def never(self) -> tuple[Bar, ...]:
        """The assignments that were never answered though their time to answer was over."""
        return tuple(bar for bar in self.bars if bar.never_answered)

    @property
    def escalations(self) -> tuple[Moment, ...]:
        """Missed deadlines and what followed."""
        wanted = {Entry.OVERDUE, Entry.REMINDED, Entry.ESCALATED, Entry.UNFILLED}
        return tuple(moment for moment in self.timeline if moment.entry in wanted)
