"""What an evaluator judges of a drill's objectives: rating, notes and name, on record beside what was measured.

Nothing here fills in a judgement by itself. The last one said about an objective counts, and none is ever edited.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.drills.record import DrillError, read_drill, sql
from services.platform.postgres import Pool


class Grade(StrEnum):
    """HSEEP's target ratings, and that an evaluator saw nothing of it."""

    PERFORMED = "P"
    SOME_CHALLENGES = "S"
    MAJOR_CHALLENGES = "M"
    UNABLE = "U"
    NOT_OBSERVED = "not_observed"


@dataclass(frozen=True, slots=True)
class Rated:
    """One judgement of one objective. ``recorded_at`` is the wall clock's."""

    objective: str
    rating: Grade
    notes: str | None
    by: str
    recorded_at: datetime


async def rate(pool: Pool, drill_id: UUID, objective: str, rating: Grade, *, notes: str | None, by: str) -> Rated:
    """Put a judgement on record; raises `DrillError` before ENDEX, and for an objective the drill hasn't."""
    drill = await read_drill(pool, drill_id)
    if drill.ended_at is None:
        raise DrillError(f"drill {drill_id}: it is still running; rate it after its ENDEX")
    known = [rule.id for rule in drill.document.objectives]
    if objective not in known:
        raise DrillError(f'drill {drill_id}: it has no objective "{objective}"; it has {", ".join(known)}')
    said = Rated(objective, rating, (notes or "").strip() or None, by, datetime.now(UTC))
    row = (uuid7(), drill_id, said.objective, said.rating, said.notes, said.by, said.recorded_at)
    await pool.execute(sql("add_rating"), *row)
    return said


def latest(rows: Iterable[Mapping[str, Any]]) -> dict[str, Rated]:
    """Give the last judgement of each objective, from rows in the order they were recorded."""
    return {
        row["objective"]: Rated(row["objective"], Grade(row["rating"]), row["notes"], row["by"], row["recorded_at"])
        for row in rows
    }
