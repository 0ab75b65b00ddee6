"""What there is to say about one drill, row by row; `services.drills.reading` reads it back from Postgres.

Numbers are of everything. Of what may go on for a million rows, a report lists the first and says how many there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload
from uuid import UUID

from schemas.base import Text
from schemas.drill import InjectRule, ObjectiveRule, Segment
from schemas.timeline import Entry
from schemas.vocabulary import AssignmentState
from services.domain.incident import Deadline
from services.domain.segments import Observations, Quantile, Summary
from services.drills.corrections import Correction
from services.drills.improvements import Improvement
from services.drills.ledger import Ledger
from services.drills.ratings import Rated
from services.drills.record import DrillRow
from services.drills.titles import Documents, Titles

if TYPE_CHECKING:
    from services.drills.evaluation import Evaluation

LISTED = 500
"""How many of a kind a report lists: of its timeline, its assignments, and what speaks for or against a finding."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listed(Sequence[T], Generic[T]):
    """What is listed of a kind, and how many of it there are."""

    shown: tuple[T, ...]
    total: int

    @property
    def is_cut(self) -> bool:
        """Say whether there is more than is listed."""
        return self.total > len(self.shown)

    def __len__(self) -> int:
        return len(self.shown)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        return self.shown[place]

    def __iter__(self) -> Iterator[T]:
        return iter(self.shown)


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
class Numbers:
    """What is reckoned of one drill. Times are the scenario's."""

    drill: DrillRow
    ended_at: datetime
    titles: Titles
    documents: Documents
    ledger: Ledger
    observed: Observations
    responses: tuple[Response, ...]
    objectives: tuple[ObjectiveRow, ...]
    segments: tuple[SegmentRow, ...]
    departments: tuple[DepartmentRow, ...]

    @property
    def duration(self) -> timedelta:
        """From STARTEX to ENDEX, in the scenario's time."""
        return self.ended_at - self.drill.started_at

    @property
    def cut_short(self) -> int:
        """How many orders were taken back before their time to answer was over."""
        return self.observed.cut_short


@dataclass(frozen=True, slots=True)
class Report(Numbers):
    """All there is to say about one drill.

    ``bars`` are the first assignments to be issued; ``never`` those that were never answered though their time to
    answer was over; ``escalations`` missed deadlines and what followed. ``timeline`` has the first entries and, where
    that isn't all, those further on that the evaluation rests on. ``corrected`` are all entries that were corrected.
    ``ratings`` are evaluators', by objective.
    """

    evaluation: "Evaluation"
    bars: Listed[Bar]
    never: Listed[Bar]
    obstacles: tuple[ObstacleRow, ...]
    injects: tuple[InjectRow, ...]
    timeline: Listed[Moment]
    escalations: Listed[Moment]
    corrected: tuple[Moment, ...]
    improvements: tuple[Improvement, ...]
    ratings: Mapping[str, Rated] = field(default_factory=dict)
