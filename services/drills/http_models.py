"""What the routes about drills answer. Times are the scenario's unless they say otherwise; spans are seconds."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Text
from schemas.drill import DrillKind, DutyOfficer, InjectKind
from schemas.timeline import Entry
from services.drills.control import Action as ControlAction
from services.drills.improvements import Action
from services.drills.ratings import Grade
from services.drills.record import Ending, Rating, Seat


class DrillState(StrEnum):
    """Where a drill stands. ``starting``: its process gets ready; ``broken``: its controller is gone."""

    STARTING = "starting"
    NOT_STARTED = "not_started"
    HELD = "held"
    RUNNING = "running"
    PAUSED = "paused"
    BROKEN = "broken"
    OVER = "over"


class InjectState(StrEnum):
    """Where an inject stands. ``held_up``: the incident it is about has not been opened yet."""

    PLAYED = "played"
    TO_COME = "to_come"
    WAITS_FOR_PERSON = "manual"
    WAITS_FOR_CONDITION = "conditional"
    HELD_UP = "held_up"
    NOT_PLAYED = "not_played"


class Expected(StrEnum):
    """Whether what an inject expects was seen. ``evaluator``: only a person can tell."""

    TO_COME = "to_come"
    OPEN = "open"
    MET = Rating.MET.value
    NOT_MET = Rating.NOT_MET.value
    NOT_OBSERVED = Rating.NOT_OBSERVED.value
    EVALUATOR = "evaluator"


class DrillLine(BaseModel):
    """One drill in a list. ``by`` started it from the console; ``outcome`` says how its process ended, if it has."""

    id: UUID
    drill: str
    version: int
    title: Text
    state: DrillState
    seed: int
    speed: float
    started_at: datetime = Field(description="STARTEX; before it, when the drill was asked for.")
    ended_at: datetime | None = None
    ending: Ending | None = None
    incidents: int = 0
    imported: bool = False
    by: str | None = None
    outcome: str | None = None


class DrillPage(BaseModel):
    """Drills, the latest first; ``next`` is the cursor of the page after this one."""

    items: list[DrillLine]
    next: str | None


class ClockView(BaseModel):
    """The scenario's clock: it showed ``start`` with the wall and has run ``speed`` times as fast, but for pauses."""

    start: datetime = Field(description="STARTEX by the wall's clock.")
    now: datetime | None = Field(description="What the scenario's clock shows; null once the drill is over.")
    elapsed: float
    duration: float
    speed: float
    paused: bool


class InjectView(BaseModel):
    """One row of the MSEL and what came of it. ``can_be_played``: a controller may release it now."""

    id: str
    kind: InjectKind
    title: Text
    expectation: Text
    at: float
    within: float | None
    of: str | None
    state: InjectState
    expected: Expected
    can_be_played: bool
    played_at: datetime | None = None
    played_after: float | None = None
    released_by: str | None = None
    outcome: str | None = None
    because: str | None = None
    detail: dict[str, Any] = Field(default_factory=dict)


class DepartmentView(BaseModel):
    """How a department stands. ``late`` counts orders that missed a deadline, ``blocked`` obstacles in its way."""

    id: str
    title: Text
    seat: Seat | None
    orders: int
    issued: int
    received: int
    committed: int
    started: int
    completed: int
    declined: int
    called_off: int
    late: int
    blocked: int


class IncidentLine(BaseModel):
    """An incident that the drill opened, and the plans that answered it, by level."""

    id: UUID
    inject: str | None
    headline: str | None
    phase: str
    plans: dict[str, str | None]


class PauseView(BaseModel):
    """When the clock stood still, by the wall, who stopped it and why."""

    since: datetime
    until: datetime | None
    by: str
    reason: str | None


class ControlView(BaseModel):
    """What somebody asked of the drill, by the wall's clock; ``refused`` says why it was not done."""

    action: ControlAction
    inject: str | None
    by: str
    reason: str | None
    asked_at: datetime
    taken_at: datetime | None
    refused: str | None


class ObjectiveView(BaseModel):
    """An objective, and what an evaluator judged of it."""

    id: str
    title: Text
    rating: Grade | None = None
    notes: str | None = None
    by: str | None = None


class DrillView(DrillLine):
    """One drill whole. Before STARTEX it has no clock, and nothing hangs on it yet.

    ``real_incidents``: how many real ones came in so far, or between STARTEX and ENDEX; null where nobody counted.
    """

    purpose: Text | None = None
    kind: DrillKind | None = None
    announced: bool | None = None
    duty_officer: DutyOfficer | None = None
    plans: list[str] = Field(default_factory=list)
    clock: ClockView | None = None
    seats: dict[str, Seat] = Field(default_factory=dict)
    objectives: list[ObjectiveView] = Field(default_factory=list)
    injects: list[InjectView] = Field(default_factory=list)
    departments: list[DepartmentView] = Field(default_factory=list)
    opened: list[IncidentLine] = Field(default_factory=list)
    pauses: list[PauseView] = Field(default_factory=list)
    controls: list[ControlView] = Field(default_factory=list)
    real_incidents: int | None = None


class ScenarioView(BaseModel):
    """A drill that can be started. ``kills`` are services of Muster it ends, which takes servers of its own.

    ``problems`` says why it can't be run, in which case little else is told.
    """

    id: str
    version: int | None = None
    title: Text | None = None
    purpose: Text | None = None
    kind: DrillKind | None = None
    announced: bool | None = None
    duty_officer: DutyOfficer | None = None
    plans: list[str] = Field(default_factory=list)
    speed: int | None = None
    duration: float | None = None
    objectives: list[Text] = Field(default_factory=list)
    injects: int = 0
    manual_injects: int = 0
    real_departments: list[str] = Field(default_factory=list)
    kills: list[str] = Field(default_factory=list)
    problems: list[str] = Field(default_factory=list)


class ScenarioList(BaseModel):
    """All the scenarios there are, by id. ``can_start``: drills can be started from here."""

    items: list[ScenarioView]
    next: None = None
    can_start: bool


class DueView(BaseModel):
    """When a plan was last exercised to the end, and when it must be again; null ``last_at`` is never."""

    plan: str
    title: Text
    every: str
    last_at: datetime | None
    due_at: datetime | None
    overdue: bool


class DueList(BaseModel):
    """Every plan in force, the most urgent first."""

    items: list[DueView]
    next: None = None


class ScheduleView(BaseModel):
    """A drill that starts by itself; ``at`` is local time in ``timezone``, ``next_at`` the wall's."""

    name: str
    drill: str
    every_days: int
    at: str
    timezone: str
    seed: int | None
    next_at: datetime
    last_at: datetime | None
    last_outcome: str | None


class ScheduleList(BaseModel):
    """The schedules in force, the next first."""

    items: list[ScheduleView]
    next: None = None


class StepView(BaseModel):
    """One thing that was decided about an improvement item."""

    action: Action
    owner: str | None
    due: date | None
    by: str
    reason: str | None
    at: datetime


class ImprovementState(StrEnum):
    """Where an item stands. ``overdue`` is open and past its day."""

    OPEN = "open"
    OVERDUE = "overdue"
    CLOSED = "closed"


class ImprovementView(BaseModel):
    """One improvement item with its history. ``finding`` names the gap it closes."""

    id: UUID
    drill_id: UUID
    drill: str
    finding: str
    title: Text
    owner: str | None
    due: date | None
    state: ImprovementState
    history: list[StepView]


class ImprovementPage(BaseModel):
    """Improvement items, oldest first; ``next`` is the cursor of the page after this one."""

    items: list[ImprovementView]
    next: str | None


class EntryView(BaseModel):
    """One entry of a drill's timeline; ``at`` is when it happened, by its last correction if it was corrected."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    at: datetime
    entry: Entry
    incident: UUID
    assignment: UUID | None
    department: str | None
    by: str | None
    reason: str | None
    detail: dict[str, Any]


class EntryPage(BaseModel):
    """Entries of a drill's timeline as it happened; ``next`` is the cursor of the page after this one."""

    items: list[EntryView]
    next: str | None


class ProposedView(BaseModel):
    """Which items are new, of how many gaps."""

    new: list[UUID]
    gaps: int


class Started(BaseModel):
    """The id that the drill has on record once it has begun; until then it is ``starting``."""

    id: UUID


class Controlled(BaseModel):
    """What was done."""

    action: ControlAction
    inject: str | None
    by: str


class Corrected(BaseModel):
    """What was said about an entry; the entry itself stays. ``recorded_at`` is the wall's."""

    id: UUID
    entry_id: UUID
    occurred_at: datetime | None
    note: str | None
    reason: str
    by: str
    recorded_at: datetime


class RatedView(BaseModel):
    """An evaluator's judgement of an objective."""

    objective: str
    rating: Grade
    notes: str | None
    by: str
    recorded_at: datetime


class Gone(BaseModel):
    """What is not in force any more."""

    name: str


class ImportedView(BaseModel):
    """What an import did: whether the drill is new here, and how many rows were added."""

    id: UUID
    new: bool
    rows: int
    digest: str
