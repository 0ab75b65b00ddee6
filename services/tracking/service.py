"""Tracking: takes departments' answers, keeps states and times, and releases the tasks that become ready."""

from schemas.acknowledgement import Acknowledgement
from schemas.envelope import ACKNOWLEDGEMENT
from schemas.topics import ACKNOWLEDGEMENTS, department_of, department_pattern
from services.domain.decision import Answered
from services.platform.kafka import Received
from services.platform.runtime import Runtime

SERVICE = "tracking"


def attach(runtime: Runtime) -> None:
    """Let a process track."""
    pattern = department_pattern(ACKNOWLEDGEMENTS, runtime.namespace)
    runtime.take(SERVICE, admit, expected=ACKNOWLEDGEMENT, pattern=pattern)


def admit(record: Received) -> Answered | str:
    """Admit an answer, unless it speaks for another department than the one whose topic it came on."""
    answer = record.message
    if not isinstance(answer, Acknowledgement):
        return f"{type(answer).__name__} is not an acknowledgement"
    owner = department_of(record.origin.topic)
    if answer.department != owner:
        return f"department: {answer.department} can't answer on the topic of {owner}"
    return Answered(record.envelope.id, answer, record.origin.broker_at)
