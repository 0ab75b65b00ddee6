"""What came in about an incident, as it is on record: enough to play the incident again."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from schemas.envelope import ACKNOWLEDGEMENT, ADAPTERS, COMMAND, INCIDENT
from services.domain.decision import Answered, Commanded, Outcome, Reported
from services.platform.postgres import Connection
from services.platform.queries import query

Said = Reported | Commanded | Answered


@dataclass(frozen=True, slots=True)
class Input:
    """One event that was decided. ``said`` is None where its content was not kept, as before that was done."""

    event_id: UUID
    type: str
    outcome: Outcome
    reason: str
    decided_at: datetime
    said: Said | None


async def read_inputs(connection: Connection, incident_id: UUID, until: datetime | None = None) -> list[Input]:
    """List an incident's events in the order they were decided, up to a moment."""
    return [_input(row) for row in await connection.fetch(query("inputs"), incident_id, until)]


def _input(row: asyncpg.Record) -> Input:
    said: Said | None = None
    if row["input"] is not None:
        message = ADAPTERS[row["type"]].validate_json(row["input"])
        said = _EVENTS[row["type"]](row["event_id"], message, row["broker_at"])
    return Input(row["event_id"], row["type"], Outcome(row["outcome"]), row["reason"], row["decided_at"], said)


_EVENTS: dict[str, type[Said]] = {INCIDENT: Reported, COMMAND: Commanded, ACKNOWLEDGEMENT: Answered}
