"""Takes reports and commands in: each is checked for belonging here, then accepted durably and published."""

from uuid_utils.compat import uuid7

from schemas.command import CommandBase
from schemas.envelope import write_value
from schemas.topics import COMMANDS, INCIDENTS, topic_name
from schemas.vocabulary import Namespace, Status
from services.platform.acceptance import Acceptance, Accepted, InvalidError, Publisher, Request
from services.platform.clock import Clock
from services.platform.postgres import Pool
from services.platform.report_in import ReportIn


class Intake:
    """Takes in what belongs to one namespace."""

    def __init__(
        self, pool: Pool, outbox: Publisher, clock: Clock, namespace: Namespace, source: str = "muster/intake"
    ) -> None:
        self.clock = clock
        self.namespace = namespace
        self._acceptance = Acceptance(pool, outbox, clock, namespace, source)

    async def accept(
        self, report: ReportIn, *, origin: str, idempotency_key: str | None, content_type: str, body: bytes
    ) -> Accepted:
        """Take one report in and say which incident it belongs to.

        The same ``idempotency_key`` with the same bytes gets the first answer again and stores nothing; with other
        bytes it raises `ConflictError`. A report whose alert is known joins that alert's incident, whatever it says.
        Raises `InvalidError` for another namespace's status or a report too large for one message; database errors
        go to the caller, and then nothing was stored.
        """
        self._admit(report.status)
        full = report.report(report.incident_id or uuid7(), self.clock.now())
        request = Request(origin, idempotency_key, content_type, body)
        return await self._acceptance.take(full, topic_name(INCIDENTS, self.namespace), request)

    async def command(
        self,
        command: CommandBase,
        *,
        origin: str = "cli",
        idempotency_key: str | None = None,
        content_type: str = "application/json",
        body: bytes | None = None,
    ) -> Accepted:
        """Take a duty officer's decision in, the same way; whether it can be carried out is decided on record."""
        self._admit(command.status)
        body = write_value(command) if body is None else body
        request = Request(origin, idempotency_key, content_type, body)
        return await self._acceptance.take(command, topic_name(COMMANDS, self.namespace), request)

    async def drain(self) -> None:
        """Wait until nothing is being published any more; call it before the broker is stopped."""
        await self._acceptance.drain()

    def _admit(self, status: Status) -> None:
        wanted = Namespace.of(status)
        if wanted is None:
            raise InvalidError(f"status: {status} is never acted on; Muster takes Actual, Exercise and Test")
        if wanted is not self.namespace:
            raise InvalidError(
                f"status: {status} belongs to the {wanted.value} namespace and this intake serves"
                f" {self.namespace.value}; send it to the intake of {wanted.value}"
            )
