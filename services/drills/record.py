"""A drill's own rows in Postgres: what was run, with which document, seed and speed, and what was played."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from schemas.drill import DrillDocument, InjectKind
from services.platform.clock import ScaledClock
from services.platform.errors import MusterError

_FOLDER = Path(__file__).parent / "sql"

Pool = asyncpg.Pool


class DrillError(MusterError):
    """A drill can't be run or reported; the message is one line."""


class Ending(StrEnum):
    """Why ENDEX came: nothing was left open, the duration was over, a person stopped it, or it broke."""

    FINISHED = "finished"
    TIME_OVER = "time_over"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DrillRow:
    """One drill on record. Times are the scenario's; ``clock_start`` is where its clock left the wall's."""

    id: UUID
    document: DrillDocument
    seed: int
    speed: float
    clock_start: datetime
    started_at: datetime
    ended_at: datetime | None = None
    ending: Ending | None = None
    incident_ids: tuple[UUID, ...] = ()

    @property
    def clock(self) -> ScaledClock:
        """The clock the drill ran by; it translates an instant of the wall's."""
        return ScaledClock(self.clock_start, self.speed)

    @property
    def opening(self) -> list[str]:
        """The injects that opened an incident."""
        return [inject.id for inject in self.document.injects if inject.kind is InjectKind.INCIDENT]


@cache
def sql(name: str) -> str:
    """Read one of this folder's statements."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


async def begin(pool: "Pool[asyncpg.Record]", row: DrillRow) -> None:
    """Put a drill on record at its STARTEX."""
    document = row.document
    await pool.execute(
        sql("begin_drill"),
        row.id,
        document.id,
        document.version,
        document.model_dump_json(),
        row.seed,
        row.speed,
        row.clock_start,
        row.started_at,
    )


async def note_inject(
    pool: "Pool[asyncpg.Record]", drill_id: UUID, inject: str, event_id: UUID, incident_id: UUID, at: datetime
) -> None:
    """Put an inject on record; before it is published, so that no incident of a drill is ever unknown to it."""
    await pool.execute(sql("note_inject"), event_id, drill_id, inject, incident_id, at)


async def end(pool: "Pool[asyncpg.Record]", row: DrillRow, at: datetime, ending: Ending) -> None:
    """Note ENDEX and why it came; a second call changes nothing."""
    await pool.execute(sql("end_drill"), row.id, at, ending, row.clock_start, row.speed, row.opening)


async def read_drill(pool: "Pool[asyncpg.Record]", drill_id: UUID) -> DrillRow:
    """Read one drill; raises `DrillError` when there is none of this id."""
    found = await pool.fetchrow("SELECT * FROM drills WHERE id = $1", drill_id)
    if found is None:
        raise DrillError(f"drill {drill_id}: there is none on record; see `muster drill list`")
    return DrillRow(
        id=found["id"],
        document=DrillDocument.model_validate_json(found["document"]),
        seed=found["seed"],
        speed=found["speed"],
        clock_start=found["clock_start"],
        started_at=found["started_at"],
        ended_at=found["ended_at"],
        ending=Ending(found["ending"]) if found["ending"] else None,
        incident_ids=tuple(found["incident_ids"]),
    )


async def list_drills(pool: "Pool[asyncpg.Record]") -> Sequence[dict[str, Any]]:
    """List the drills on record, the latest first."""
    return [dict(row) for row in await pool.fetch(sql("list_drills"))]
