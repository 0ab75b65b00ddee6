"""Dispatch: takes reports and duty officers' commands, and lets the engine choose plans and give assignments."""

from schemas.command import CommandBase
from schemas.envelope import COMMAND, INCIDENT
from schemas.incident import IncidentReport
from schemas.topics import COMMANDS, INCIDENTS, topic_name
from schemas.vocabulary import MessageType
from services.domain.decision import Commanded, Reported
from services.platform.kafka import Received
from services.platform.runtime import Runtime

SERVICE = "dispatch"
_REPORTS = frozenset({MessageType.ALERT, MessageType.UPDATE, MessageType.CANCEL})


def attach(runtime: Runtime) -> None:
    """Let a process dispatch."""
    namespace = runtime.namespace
    runtime.take(SERVICE, admit_report, expected=INCIDENT, topics=[topic_name(INCIDENTS, namespace)])
    runtime.take(SERVICE, admit_command, expected=COMMAND, topics=[topic_name(COMMANDS, namespace)])


def admit_report(record: Received) -> Reported | str:
    """Admit a report; what isn't one (CAP ``Ack`` and ``Error``) is turned away with the reason."""
    report = record.message
    if not isinstance(report, IncidentReport):
        return f"{type(report).__name__} is not a report"
    if report.message_type not in _REPORTS:
        return f"message_type: {report.message_type} reports nothing"
    return Reported(record.envelope.id, report, record.origin.broker_at)


def admit_command(record: Received) -> Commanded | str:
    """Admit a duty officer's command."""
    command = record.message
    if not isinstance(command, CommandBase):
        return f"{type(command).__name__} is not a command"
    return Commanded(record.envelope.id, command, record.origin.broker_at)  # type: ignore[arg-type]
