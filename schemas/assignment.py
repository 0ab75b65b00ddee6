"""What a department is told: an order, and every later word about the same order."""

from typing import Annotated

from pydantic import Field

from schemas.base import PERSONAL_DATA, Id, Message, Slug, Text, Time
from schemas.vocabulary import AssignmentState, Notice, Severity, Status


class Deadlines(Message):
    """By when, as instants. Absent means that no such deadline was set."""

    acknowledge_by: Time | None = None
    start_by: Time | None = None
    complete_by: Time | None = None


class IncidentSummary(Message):
    """What the department needs to know of the incident, as last reported."""

    event: str | None = None
    headline: Annotated[str | None, PERSONAL_DATA] = None
    description: Annotated[str | None, PERSONAL_DATA] = None
    severity: Severity
    areas: tuple[str, ...] = ()
    occurred_at: Time | None = None


class Assignment(Message):
    """A task given to one department for one activation; the unit that is acknowledged.

    ``assignment_id`` never changes over redeliveries and reminders: use it to make an effect happen once.
    ``revision`` grows with every message about it; an older one that arrives late says nothing new.
    """

    assignment_id: Id
    activation_id: Id
    incident_id: Id
    status: Status
    department: Slug
    notice: Notice
    revision: int = Field(ge=1)
    state: AssignmentState
    plan: Slug
    plan_version: int
    plan_title: Text
    level: str | None = None
    role: str
    role_title: Text
    task: str
    title: Text
    done_when: Text
    instructions: Text | None = None
    read_back: bool = False
    deadlines: Deadlines
    incident: IncidentSummary
    issued_at: Time
    addressed_to: str | None = None
    reason: Annotated[str | None, PERSONAL_DATA] = None
    parent_id: Id | None = None
