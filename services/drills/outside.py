"""What of a drill may leave Muster: only what goes to those who really take part in it."""

import json
from functools import partial
from uuid import UUID

from schemas.drill import DrillDocument, DutyOfficer
from services.drills.record import Seat, sql
from services.platform import outbound
from services.platform.outbound import WebhookSettings
from services.platform.postgres import Pool
from services.platform.runtime import Runtime

_THERE = frozenset({Seat.REAL, Seat.MIXED})


def attach(runtime: Runtime) -> None:
    """Let a process tell the duty officer outside; in an exercise only where the drill lists who would be told."""
    outbound.attach(runtime, WebhookSettings(), listed=partial(participants, runtime.pool))


async def participants(pool: Pool, incident_id: UUID) -> frozenset[str]:
    """Give the departments that take part themselves in the drill an incident belongs to.

    The duty officer's is among them where a person decides. An exercise's incident of no drill has none.
    """
    row = await pool.fetchrow(sql("drill_of_incident"), incident_id)
    if row is None:
        return frozenset()
    seats = json.loads(row["seats"])
    there = {name for name, seat in seats.items() if seat in _THERE}
    document = DrillDocument.model_validate_json(row["document"])
    if document.duty_officer is DutyOfficer.REAL and row["officer"] is not None:
        there.add(row["officer"])
    return frozenset(there)
