"""What the board shows: one row for each open incident, with its departments as states and clocks."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Text
from schemas.vocabulary import ActivationState, AssignmentState, Category, Severity, Status
from services.domain.incident import Deadline, Phase


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class Need(StrEnum):
    """Why a duty officer must look at an incident."""

    CONFIRM = "confirm"
    NO_PLAN = "no_plan"
    OBSTACLE = "obstacle"
    UNFILLED = "unfilled"
    ESCALATED = "escalated"
    CANCEL_ASKED = "cancel_asked"
    LEVEL_SUGGESTED = "level_suggested"


class AttentionItem(_Shown):
    """One thing that waits for the duty officer. ``text`` is what was said about it; the ids name what it is about."""

    need: Need
    since: datetime
    text: str | None = None
    plan: Text | None = None
    task: Text | None = None
    level: str | None = None
    department: Text | None = None
    owner: str | None = None
    activation_id: UUID | None = None
    assignment_id: UUID | None = None
    obstacle_id: UUID | None = None


class Due(_Shown):
    """A deadline that is still to be met, passed or not."""

    at: datetime
    what: Deadline | None = Field(description="Null for a plan that awaits its confirmation.")


class PlanLine(_Shown):
    """A plan of the incident that has not been stood down, and where it stands."""

    activation_id: UUID
    plan: str
    version: int
    title: Text
    state: ActivationState
    level: str | None
    level_title: Text | None
    since: datetime
    confirm_by: datetime | None


class DepartmentLine(_Shown):
    """A department of the incident: ``state`` is that of the order that is furthest behind.

    ``received`` is false while any order shows no receipt; an order that was received and has no answer is in the
    state ``delivered`` or ``acknowledged``. ``escalated``: somebody else was called or told because it was silent.
    """

    id: str
    title: Text
    state: AssignmentState
    received: bool
    next: Due | None
    overdue: bool
    escalated: bool
    blocked: bool
    orders: int
    open: int


class OrderCounts(_Shown):
    """An incident's orders, counted; those that were taken back or handed on are left out."""

    orders: int = 0
    not_received: int = 0
    not_answered: int = 0
    committed: int = 0
    started: int = 0
    completed: int = 0
    refused: int = 0
    overdue: int = 0


class BoardRow(_Shown):
    """One open incident. Rows sort by ``rank``: overdue first, then by level, then the oldest.

    ``revision`` rises whenever anything of the row changes.
    """

    id: UUID
    status: Status
    event: str | None
    headline: str | None
    areas: list[str]
    categories: list[Category]
    severity: Severity
    phase: Phase
    since: datetime
    level: str | None
    plans: list[PlanLine]
    departments: list[DepartmentLine]
    counts: OrderCounts
    attention: list[AttentionItem]
    next: Due | None
    overdue: bool
    blocked: bool
    joined: int = Field(description="Other incidents whose reports joined this one's response.")
    rank: str
    revision: int = 0


class BoardCounts(_Shown):
    """Open incidents, and how many of them have something overdue, not received, not answered, blocked, to confirm."""

    open: int = 0
    overdue: int = 0
    not_received: int = 0
    not_answered: int = 0
    blocked: int = 0
    awaiting_confirmation: int = 0
    attention: int = 0


class PlanOffer(_Shown):
    """A plan that some open incident obeys."""

    plan: str
    title: Text


class BoardPage(_Shown):
    """A part of the board, worst first. ``counts`` are of all open incidents, ``total`` of those that were asked for.

    ``levels`` and ``plans`` are those that open incidents are at and obey, to choose from.

    ``place`` is an event's id: following the stream from there misses nothing that this page doesn't show.
    """

    items: list[BoardRow]
    next: str | None
    total: int
    counts: BoardCounts
    levels: list[str]
    plans: list[PlanOffer]
    revision: int
    place: str
    now: datetime
