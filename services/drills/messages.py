"""What a drill says to the services, over the exercise topics as anybody else would."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from schemas.base import Message
from schemas.command import CommandBase
from schemas.envelope import COMMAND, INCIDENT, Envelope, write_value
from schemas.incident import IncidentReport
from schemas.topics import COMMANDS, INCIDENTS, Topic, topic_name
from schemas.vocabulary import Namespace, Status
from services.drills.record import DrillError
from services.platform.kafka_publishing import publish_all
from services.platform.runtime import Runtime

CONTROLLER = "Exercise controller, as duty officer"


class Voice:
    """Publishes a drill's reports and the duty officer's commands; raises `DrillError` when the broker takes none."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def moment(self) -> datetime:
        """Tell the time to be put on a message.

        A broker keeps whole milliseconds of the wall clock; what is sent within one must not seem to be held before.
        """
        wall = datetime.now(UTC)
        return self._runtime.clock.at(wall.replace(microsecond=wall.microsecond // 1000 * 1000))

    async def report(self, report: IncidentReport, event_id: UUID) -> None:
        """Publish a report."""
        await self._publish(INCIDENTS, INCIDENT, report, report.incident_id, event_id)

    async def command(
        self,
        kind: type[CommandBase],
        incident_id: UUID,
        reason: str,
        *,
        event_id: UUID | None = None,
        **more: Any,
    ) -> None:
        """Publish a duty officer's decision."""
        command = kind(
            incident_id=incident_id,
            status=Status.EXERCISE,
            by=CONTROLLER,
            reason=reason,
            decided_at=self._runtime.clock.now(),
            **more,
        )
        await self._publish(COMMANDS, COMMAND, command, incident_id, event_id or uuid7())

    async def _publish(self, topic: Topic, kind: str, message: Message, incident_id: UUID, event_id: UUID) -> None:
        now = self._runtime.clock.now()
        envelope = Envelope(event_id, kind, "muster/drills", str(incident_id), now, Status.EXERCISE)
        name = topic_name(topic, Namespace.EXERCISE)
        value, key = write_value(message), str(incident_id).encode()
        (error,) = await publish_all(self._runtime.broker, [(name, key, value, envelope.headers())])
        if error is not None:
            raise DrillError(f"broker: {name} does not take messages: {error!r}")
