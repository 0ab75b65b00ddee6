"""A report as a sender gives it: before it has its incident's id."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.base import Id, Time
from schemas.incident import AlertIdentity, Area, IncidentReport, LongText, ShortText
from schemas.vocabulary import Category, Certainty, MessageType, Severity, Status, Urgency

NOT_ACTED_ON = {
    Status.SYSTEM: "which is about the alerting system itself",
    Status.DRAFT: "which is not meant to be acted on",
}
"""Statuses that Muster never acts on (CAP 1.2, 3.2.1 ``status``), and why."""
NOT_ASKED = {
    MessageType.ACK: "which answers an alert and reports no incident",
    MessageType.ERROR: "which refuses an alert and reports no incident",
}
"""Message types that report nothing (CAP 1.2, 3.2.1 ``msgType``), and why."""


class ReportIn(BaseModel):
    """What happened, as reported: the fields of `schemas.incident.IncidentReport`, of which two may be left out.

    ``incident_id`` names the incident that an update or a cancellation is about; a first report leaves it out and
    learns it from the answer. ``reported_at`` is filled in with the time of intake, and is never later than that.
    ``status`` has no default. A field nobody knows is a mistake and is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    incident_id: Id | None = None
    status: Status
    message_type: MessageType
    categories: tuple[Category, ...] = ()
    event: ShortText | None = None
    urgency: Urgency = Urgency.UNKNOWN
    severity: Severity = Severity.UNKNOWN
    certainty: Certainty = Certainty.UNKNOWN
    headline: LongText | None = None
    description: LongText | None = None
    instruction: LongText | None = None
    areas: tuple[Area, ...] = ()
    event_codes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    parameters: dict[str, str | float] = Field(default_factory=dict)
    language: ShortText | None = None
    occurred_at: Time | None = None
    expires_at: Time | None = None
    reported_at: Time | None = None
    reported_by: Annotated[ShortText, Field(min_length=1)]
    alert: AlertIdentity | None = None
    references: tuple[AlertIdentity, ...] = ()

    @field_validator("status")
    @classmethod
    def _acted_on(cls, status: Status) -> Status:
        if status in NOT_ACTED_ON:
            raise ValueError(f"{status}, {NOT_ACTED_ON[status]}; Muster takes Actual, Exercise and Test")
        return status

    @field_validator("message_type")
    @classmethod
    def _reports_something(cls, message_type: MessageType) -> MessageType:
        if message_type in NOT_ASKED:
            raise ValueError(f"{message_type}, {NOT_ASKED[message_type]}; Muster takes Alert, Update and Cancel")
        return message_type

    @model_validator(mode="after")
    def _knows_its_fields(self) -> "ReportIn":
        for part in (*self.areas, *self.references, *([self.alert] if self.alert else [])):
            if part.model_extra:
                raise ValueError(f"{next(iter(part.model_extra))!r} is no field of {type(part).__name__}")
        return self

    @model_validator(mode="after")
    def _says_what_it_updates(self) -> "ReportIn":
        if self.message_type is not MessageType.ALERT and self.incident_id is None and not self.references:
            raise ValueError("an Update or a Cancel names what it is about: give incident_id or references")
        return self

    def report(self, incident_id: UUID, now: datetime) -> IncidentReport:
        """Become the report of an incident, taken in at ``now``; what was not said stays unset."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        told_at = min(self.reported_at or now, now)
        return IncidentReport.model_validate(said | {"incident_id": incident_id, "reported_at": told_at})
