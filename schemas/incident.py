"""What happened or is reported: one event on the ``incidents`` topic for each report, in CAP's vocabulary."""

from typing import Annotated

from pydantic import Field

from schemas.base import PERSONAL_DATA, Id, Message, Time
from schemas.vocabulary import Category, Certainty, MessageType, Severity, Status, Urgency

MAX_TEXT = 20_000
"""Longest text field, in characters; a longer one belongs in a document that the report links to."""

LongText = Annotated[str, Field(max_length=MAX_TEXT)]
Outline = Annotated[str, Field(max_length=200_000)]
ShortText = Annotated[str, Field(max_length=500)]


class AlertIdentity(Message):
    """What tells one alert from every other (CAP 1.2, 3.2.1): the triple of sender, identifier and sent."""

    sender: ShortText
    identifier: ShortText
    sent: Time


class Area(Message):
    """Where (CAP 1.2, 3.2.4). ``geocodes`` maps a system's name to its codes, as in ``{"SAME": ["006037"]}``.

    ``polygons`` and ``circles`` are CAP's own text forms: WGS 84 ``lat,lon`` pairs, a circle's radius in km.
    """

    description: LongText
    geocodes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    polygons: tuple[Outline, ...] = ()
    circles: tuple[ShortText, ...] = ()


class IncidentReport(Message):
    """A report about an incident: a first one, an update, or a cancellation.

    ``parameters`` holds what the sender measured (magnitude, water level) as text or number; event codes are
    under ``event_codes`` by system. ``reported_at`` is when Muster or its feeder took the report in.
    """

    incident_id: Id
    status: Status
    message_type: MessageType
    categories: tuple[Category, ...] = ()
    event: ShortText | None = None
    urgency: Urgency = Urgency.UNKNOWN
    severity: Severity = Severity.UNKNOWN
    certainty: Certainty = Certainty.UNKNOWN
    headline: Annotated[LongText | None, PERSONAL_DATA] = None
    description: Annotated[LongText | None, PERSONAL_DATA] = None
    instruction: Annotated[LongText | None, PERSONAL_DATA] = None
    areas: tuple[Area, ...] = ()
    event_codes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    parameters: dict[str, str | float] = Field(default_factory=dict)
    language: ShortText | None = None
    occurred_at: Time | None = None
    expires_at: Time | None = None
    reported_at: Time
    reported_by: Annotated[ShortText, PERSONAL_DATA]
    alert: AlertIdentity | None = None
    references: tuple[AlertIdentity, ...] = ()
