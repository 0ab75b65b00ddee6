"""A drill's own rows in Postgres: what was run, with which document, seed and speed, and what was played."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from schemas.drill import DrillDocument, InjectKind
from services.platform.clock import Pause, ScaledClock
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


class Rating(StrEnum):
    """Whether what an inject expected was seen: in time, not, or nobody could tell."""

    MET = "met"
    NOT_MET = "not_met"
    NOT_OBSERVED = "not_observed"


class Seat(StrEnum):
    """Who answered for a department; a stand-in is a simulation because nobody listened."""

    SIMULATED = "simulated"
    REAL = "real"
    MIXED = "mixed"
    STAND_IN = "stand-in"


@dataclass(frozen=True, slots=True)
class DrillRow:
    """One drill on record. Times are the scenario's; ``clock_start`` is where its clock left the wall's.

    ``pauses`` are the wall's. ``seats`` says who answered for each department; older drills don't tell.
    ``real_incidents`` counts those that came in between STARTEX and ENDEX; None where nobody counted.
    """

    id: UUID
    document: DrillDocument
    seed: int
    speed: float
    clock_start: datetime
    started_at: datetime
    ended_at: datetime | None = None
    ending: Ending | None = None
    incident_ids: tuple[UUID, ...] = ()
    pauses: tuple[Pause, ...] = ()
    seats: Mapping[str, Seat] = field(default_factory=dict)
    real_incidents: int | None = None

    @property
    def clock(self) -> ScaledClock:
        """The clock the drill ran by; it translates an instant of the wall's."""
        return ScaledClock(self.clock_start, self.speed, self.pauses)

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
        json.dumps(row.seats),
    )


async def note_inject(
    pool: "Pool[asyncpg.Record]",
    drill_id: UUID,
    inject: str,
    event_id: UUID,
    incident_id: UUID | None,
    at: datetime,
    *,
    awaits_decision: bool = True,
    released_by: str | None = None,
) -> None:
    """Put an inject on record; before it is published, so that no incident of a drill is ever unknown to it."""
    await pool.execute(sql("note_inject"), event_id, drill_id, inject, incident_id, at, awaits_decision, released_by)


async def note_detail(pool: "Pool[asyncpg.Record]", drill_id: UUID, inject: str, **facts: object) -> None:
    """Add to the record of an inject what came of it, as when a lost service was back."""
    await pool.execute(
        "UPDATE drill_injects SET detail = detail || $3::jsonb WHERE drill_id = $1 AND inject = $2",
        drill_id,
        inject,
        json.dumps(facts, default=str),
    )


async def end(
    pool: "Pool[asyncpg.Record]", row: DrillRow, at: datetime, ending: Ending, *, real_incidents: int | None = None
) -> None:
    """Note ENDEX, why it came, and how many real incidents came in meanwhile; a second call changes nothing."""
    given = (row.id, at, ending, row.clock_start, row.speed, row.opening, real_incidents)
    await pool.execute(sql("end_drill"), *given)


async def read_drill(pool: "Pool[asyncpg.Record]", drill_id: UUID) -> DrillRow:
    """Read one drill; raises `DrillError` when there is none of this id."""
    found = await pool.fetchrow(sql("read_drill"), drill_id)
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
        pauses=tuple((since, until) for since, until in found["pauses"]),
        seats={name: Seat(seat) for name, seat in json.loads(found["seats"]).items()},
        real_incidents=found["real_incidents"],
    )


async def list_drills(pool: "Pool[asyncpg.Record]") -> Sequence[dict[str, Any]]:
    """List the drills on record, the latest first."""
    return [dict(row) for row in await pool.fetch(sql("list_drills"))]
