"""The append-only record of everything in an incident."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from schemas.base import PERSONAL_DATA, PERSONAL_KEYS, Id, Message, Time, personal_fields
from schemas.vocabulary import Status


class Entry(StrEnum):
    """What a timeline entry tells, in the past tense."""

    REPORTED = "incident_reported"
    UPDATED = "incident_updated"
    REPEATED = "late_report_noted"
    CANCEL_RECEIVED = "cancellation_received"
    JOINED = "incident_joined"
    NO_PLAN = "no_plan_matched"
    PLAN_MATCHED = "plan_matched"
    CONFIRMATION_OVERDUE = "confirmation_overdue"
    ACTIVATED = "plan_activated"
    STANDBY = "plan_on_standby"
    LEVEL_CHANGED = "level_changed"
    LEVEL_SUGGESTED = "level_suggested"
    STOOD_DOWN = "plan_stood_down"
    CLOSED = "incident_closed"
    ISSUED = "assignment_issued"
    DELIVERED = "assignment_delivered"
    ACKNOWLEDGED = "assignment_acknowledged"
    COMMITTED = "assignment_committed"
    DECLINED = "assignment_declined"
    STARTED = "assignment_started"
    ARRIVED = "department_on_scene"
    PROGRESSED = "progress_noted"
    COMPLETED = "assignment_completed"
    FAILED = "assignment_failed"
    CANCELLED = "assignment_cancelled"
    SUPERSEDED = "assignment_superseded"
    EXPIRED = "assignment_expired"
    DELEGATED = "assignment_delegated"
    BLOCKED = "obstacle_reported"
    OBSTACLE_TAKEN = "obstacle_taken"
    OBSTACLE_RESOLVED = "obstacle_resolved"
    OVERDUE = "deadline_missed"
    REMINDED = "department_reminded"
    ESCALATED = "silence_escalated"
    UNFILLED = "task_unfilled"
    TASK_ADDED = "task_added"
    INFORMED = "departments_informed"
    ANSWER_REFUSED = "answer_refused"
    COMMAND_REFUSED = "command_refused"


PERSONAL_DETAIL = frozenset({"said", "note", "read_back", "owner", "headline"})
"""What of an entry's ``detail`` a person said, or names one."""

Hex = Annotated[str, Field(pattern="^[0-9a-f]+$")]


class TimelineEntry(Message):
    """One fact of an incident. ``attention`` marks what a duty officer must see at once.

    Three times: when it occurred, when the broker had the message that told of it, when it was recorded.

    ``number`` is the entry's place in its incident's chain and ``hash`` its link in it, made with ``salt``; see
    `services.platform.chain`. ``withheld`` is the digest of what was erased from it.
    """

    entry_id: Id
    incident_id: Id
    status: Status
    entry: Entry
    activation_id: Id | None = None
    assignment_id: Id | None = None
    department: str | None = None
    attention: bool = False
    by: Annotated[str | None, PERSONAL_DATA] = None
    reason: Annotated[str | None, PERSONAL_DATA] = None
    detail: dict[str, Any] = Field(default_factory=dict, json_schema_extra={PERSONAL_KEYS: [*sorted(PERSONAL_DETAIL)]})
    occurred_at: Time
    broker_at: Time | None = None
    recorded_at: Time
    number: int | None = None
    salt: Hex | None = None
    hash: Hex | None = None
    withheld: Hex | None = None


PERSONAL = personal_fields(TimelineEntry)
"""Fields of an entry that name a person or hold what one said."""
