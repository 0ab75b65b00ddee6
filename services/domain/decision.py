"""What goes into the engine and what comes out: events, outcomes, and the decision with all its effects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from schemas.acknowledgement import Acknowledgement
from schemas.assignment import Assignment
from schemas.command import Command
from schemas.incident import IncidentReport
from schemas.timeline import TimelineEntry
from services.domain.incident import Incident


@dataclass(frozen=True, slots=True)
class Reported:
    """A report was taken in. ``broker_at`` is when the broker had the message."""

    id: UUID
    report: IncidentReport
    broker_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Commanded:
    """A duty officer decided something."""

    id: UUID
    command: Command
    broker_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A department answered."""

    id: UUID
    acknowledgement: Acknowledgement
    broker_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A deadline of the incident fell due. ``id`` may be any UUID that is not used twice for one moment."""

    id: UUID


Event = Reported | Commanded | Answered | TimePassed


class Outcome(StrEnum):
    """What was decided about an event; every accepted event has exactly one on record.

    ``refused``: understood, and turned down with a reason. ``invalid``: names what isn't there or isn't its own.
    """

    ACTIVATED = "activated"
    STANDBY = "standby"
    AWAITING = "awaiting_confirmation"
    JOINED = "joined"
    NO_PLAN = "no_plan"
    UPDATED = "updated"
    CANCELLED = "cancelled"
    LATE = "late"
    APPLIED = "applied"
    REPEATED = "repeated"
    REFUSED = "refused"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Opening:
    """The activation that further reports of one group join, until it ends."""

    activation_id: UUID
    incident_id: UUID
    until: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """One message to one department; ``id`` is the id of its event."""

    id: UUID
    to: str
    message: Assignment


@dataclass(frozen=True, slots=True)
class Decision:
    """All that follows from one event. ``incident`` is None where there is none to speak of.

    ``opened`` and ``released`` are the groups that further reports join from now on, or no longer; release one only
    while its opening is still this incident's. Keep an opening whose time is over until then: what has joined stays.
    """

    outcome: Outcome
    reason: str
    incident: Incident | None
    entries: tuple[TimelineEntry, ...] = ()
    orders: tuple[Order, ...] = ()
    opened: Mapping[str, Opening] = field(default_factory=dict)
    released: tuple[str, ...] = ()
