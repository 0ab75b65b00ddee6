"""Corrections to a drill's timeline: said afterwards by a person, with a reason; the timeline itself is never edited.

A correction says when an entry really happened, or adds a note to it. The latest time said about an entry counts,
and everything that follows from that time is reckoned again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from schemas.timeline import Entry
from services.domain.incident import Deadline
from services.drills.ledger import ENDS, TOLD
from services.drills.record import DrillError, read_drill, sql
from services.platform.postgres import Pool

Row = dict[str, Any]

_OBSTACLES = {
    Entry.BLOCKED: "reported_at",
    Entry.OBSTACLE_TAKEN: "taken_at",
    Entry.OBSTACLE_RESOLVED: "resolved_at",
}


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person said about one entry. ``occurred_at`` is the scenario's time, ``recorded_at`` the wall clock's."""

    id: UUID
    entry_id: UUID
    occurred_at: datetime | None
    note: str | None
    reason: str
    by: str
    recorded_at: datetime


async def correct(
    pool: Pool,
    drill_id: UUID,
    entry_id: UUID,
    *,
    occurred_at: datetime | None = None,
    note: str | None = None,
    reason: str,
    by: str,
) -> Correction:
    """Add a correction; raises `DrillError` for an unknown entry, a time outside the drill, or nothing said."""
    drill = await read_drill(pool, drill_id)
    note, reason, by = (note or "").strip() or None, reason.strip(), by.strip()
    if occurred_at is None and note is None:
        raise DrillError(f"drill {drill_id}: a correction says when it happened, or adds a note; give one of them")
    if not reason or not by:
        raise DrillError(f"drill {drill_id}: a correction needs its reason and who makes it")
    until = drill.ended_at or drill.clock.now()
    if occurred_at is not None and not drill.started_at <= occurred_at <= until:
        raise DrillError(
            f"drill {drill_id}: {occurred_at:%FT%TZ} is not between STARTEX {drill.started_at:%FT%TZ}"
            f" and ENDEX {until:%FT%TZ}"
        )
    said = Correction(uuid7(), entry_id, occurred_at, note, reason, by, datetime.now(UTC))
    added = await pool.fetchval(
        sql("add_correction"),
        said.id,
        drill_id,
        entry_id,
        said.occurred_at,
        said.note,
        said.reason,
        said.by,
        said.recorded_at,
    )
    if added is None:
        raise DrillError(
            f"drill {drill_id}: its timeline has no entry {entry_id}; see `muster drill report {drill_id} --json`"
        )
    return said


def from_row(row: Mapping[str, Any]) -> Correction:
    """Read a correction from its row."""
    return Correction(
        id=row["id"],
        entry_id=row["entry_id"],
        occurred_at=row["occurred_at"],
        note=row["note"],
        reason=row["reason"],
        by=row["by"],
        recorded_at=row["recorded_at"],
    )


def by_entry(corrections: Iterable[Correction]) -> dict[UUID, tuple[Correction, ...]]:
    """Gather corrections by the entry they speak of, in the order they were made."""
    found: dict[UUID, tuple[Correction, ...]] = {}
    for each in corrections:
        found[each.entry_id] = (*found.get(each.entry_id, ()), each)
    return found


def true_time(corrections: Iterable[Correction]) -> datetime | None:
    """Say when an entry really happened: the last time that was said, None where only notes were added."""
    said = [each.occurred_at for each in corrections if each.occurred_at is not None]
    return said[-1] if said else None


def amend(
    entries: Iterable[Mapping[str, Any]],
    corrections: Mapping[UUID, tuple[Correction, ...]],
    *,
    assignments: Iterable[Row],
    obstacles: Iterable[Row],
    alarms: Iterable[Row],
) -> None:
    """Carry corrected times from the entries over to the rows that hold the same times. The rows are changed."""
    by_assignment = {row["id"]: row for row in assignments}
    by_obstacle = {str(row["id"]): row for row in obstacles}
    by_alarm = {row["entry_id"]: row for row in alarms}
    for entry in entries:
        at = true_time(corrections.get(entry["entry_id"], ()))
        if at is None:
            continue
        kind = Entry(entry["entry"])
        if kind in TOLD and entry["assignment_id"] in by_assignment:
            _amend_assignment(by_assignment[entry["assignment_id"]], kind, at)
        elif kind in _OBSTACLES and entry["detail"].get("obstacle_id") in by_obstacle:
            by_obstacle[entry["detail"]["obstacle_id"]][_OBSTACLES[kind]] = at
        elif kind is Entry.REPORTED and entry["entry_id"] in by_alarm:
            by_alarm[entry["entry_id"]]["sent_at"] = at


def _amend_assignment(row: Row, kind: Entry, at: datetime) -> None:
    row[TOLD[kind]] = at
    if kind in ENDS:
        row["ended_at"] = at
    row["missed"] = [deadline.value for deadline in Deadline if _missed(row, deadline)]


def _missed(row: Row, deadline: Deadline) -> bool:
    """Say whether a deadline was missed by the corrected times; what never happened stays as it was recorded."""
    by = row[f"{deadline.value}_by"]
    met = [row[name] for name in _MEETS[deadline] if row[name] is not None]
    if by is None:
        return False
    return min(met) > by if met else deadline.value in row["missed"]


_MEETS = {
    Deadline.ACKNOWLEDGE: ("committed_at", "declined_at", "started_at", "completed_at", "failed_at"),
    Deadline.START: ("started_at", "completed_at", "declined_at", "failed_at"),
    Deadline.COMPLETE: ("completed_at", "declined_at", "failed_at"),
}
"""What ends each deadline's wait: what was asked for, or a no."""
