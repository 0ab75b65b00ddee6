"""What an inject tells: the report that it becomes, marked as an exercise."""

from datetime import datetime
from uuid import UUID

from schemas.base import Text
from schemas.drill import DrillDocument, InjectKind, InjectRule, ReportFields
from schemas.incident import Area, IncidentReport
from schemas.vocabulary import Certainty, MessageType, Severity, Status, Urgency

MARK = Text(en="EXERCISE: ", zh="【演练】")
"""What every headline of a drill begins with, as on the radio."""
TELLING = frozenset({InjectKind.INCIDENT, InjectKind.UPDATE, InjectKind.MESSAGE})
"""The kinds of inject that become reports."""


def report_of(document: DrillDocument, inject: InjectRule, incident_id: UUID, reported_at: datetime) -> IncidentReport:
    """Make the report that an inject becomes; its status is Exercise, and its headline says so too."""
    told = inject.report or ReportFields()
    headline = told.headline or inject.says
    return IncidentReport(
        incident_id=incident_id,
        status=Status.EXERCISE,
        message_type=MessageType.ALERT if inject.kind is InjectKind.INCIDENT else MessageType.UPDATE,
        categories=told.categories,
        event=told.event.en if told.event else None,
        headline=f"{MARK.en}{headline.en}" if headline else None,
        description=told.description.en if told.description else None,
        severity=told.severity or Severity.UNKNOWN,
        urgency=told.urgency or Urgency.UNKNOWN,
        certainty=told.certainty or Certainty.UNKNOWN,
        areas=tuple(Area(description=area.en) for area in told.areas),
        parameters=dict(told.parameters),
        language="en",
        reported_at=reported_at,
        reported_by=f"drill {document.id}, inject {inject.id}",
    )
