"""Reads entries of a drill's timeline: the first of them, a page after any place, or one after the other."""

import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.timeline import Entry
from services.drills.corrections import Correction, by_entry, from_row, true_time
from services.drills.record import DrillRow, sql
from services.drills.report import Moment
from services.drills.titles import Titles
from services.platform.postgres import Connection

Rows = list[dict[str, Any]]
AT_ONCE = 1_000
"""Entries that are held at a time where all are read."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of the timeline ended: entries are ordered by all three."""

    at: datetime
    recorded_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Timeline:
    """A drill's entries from STARTEX to ENDEX, or until now, on one connection; with what was corrected in them."""

    connection: Connection
    drill: DrillRow
    until: datetime
    corrections: Mapping[UUID, tuple[Correction, ...]]

    @property
    def incidents(self) -> list[UUID]:
        """The incidents that it is about."""
        return list(self.drill.incident_ids)

    async def page(
        self,
        limit: int | None,
        *,
        entries: Collection[Entry] | None = None,
        department: str | None = None,
        after: Place | None = None,
    ) -> Rows:
        """Read so many entries as it happened, or all, of some kinds and one department or of all, after a place."""
        given = self._given(entries, department, after)
        return [dict(row) for row in await self.connection.fetch(sql("drill_timeline"), *given, limit)]

    async def all(self) -> AsyncIterator[Mapping[str, Any]]:
        """Read all entries as it happened; inside a transaction."""
        given = self._given(None, None, None)
        async for row in self.connection.cursor(sql("drill_timeline"), *given, None, prefetch=AT_ONCE):
            yield dict(row)

    async def of(self, ids: Collection[UUID]) -> Rows:
        """Read some entries by their ids, in the order they were recorded."""
        if not ids:
            return []
        window = self.incidents, self.drill.started_at, self.until
        return [dict(row) for row in await self.connection.fetch(sql("drill_entries_of"), list(ids), *window)]

    async def about(self, orders: Collection[UUID], entries: Collection[Entry]) -> Rows:
        """Read what entries of some kinds told of some orders, in the order they were recorded."""
        if not orders:
            return []
        window = self.incidents, self.drill.started_at, self.until
        given = *window, list(orders), list(entries)
        return [dict(row) for row in await self.connection.fetch(sql("drill_proofs"), *given)]

    def _given(
        self, entries: Collection[Entry] | None, department: str | None, after: Place | None
    ) -> tuple[object, ...]:
        place = (None, None, None) if after is None else (after.at, after.recorded_at, after.id)
        kinds = None if entries is None else list(entries)
        said = {id_: at for id_, each in self.corrections.items() if (at := true_time(each)) is not None}
        window = self.incidents, self.drill.started_at, self.until
        return *window, list(said), list(said.values()), kinds, department, *place


@dataclass(frozen=True, slots=True)
class Narrator:
    """Gives entries the words for what they speak of, and their corrections."""

    titles: Titles
    corrections: Mapping[UUID, tuple[Correction, ...]]

    def at(self, row: Mapping[str, Any]) -> datetime:
        """Say when an entry happened, by its last correction if there is one."""
        said = true_time(self.corrections.get(row["entry_id"], ())) if self.corrections else None
        happened: datetime = row["occurred_at"]
        return said or happened

    def moment(self, row: Mapping[str, Any]) -> Moment:
        """Give an entry whole."""
        detail = json.loads(row["detail"])
        task = detail.get("task")
        return Moment(
            id=row["entry_id"],
            incident_id=row["incident_id"],
            activation_id=row["activation_id"],
            assignment_id=row["assignment_id"],
            at=self.at(row),
            recorded_as=row["occurred_at"],
            corrections=self.corrections.get(row["entry_id"], ()),
            entry=Entry(row["entry"]),
            department=row["department"],
            task=self.titles.task(task, row["activation_id"]) if task else None,
            attention=row["attention"],
            by=row["by"],
            reason=row["reason"],
            detail=detail,
        )

    def in_order(self, rows: Iterable[Mapping[str, Any]]) -> tuple[Moment, ...]:
        """Give entries in the order in which they happened, those of one time as they were recorded."""
        told = sorted(rows, key=lambda row: (self.at(row), row["recorded_at"], row["entry_id"]))
        return tuple(self.moment(row) for row in told)


async def open_timeline(connection: Connection, drill: DrillRow) -> Timeline:
    """Read a drill's corrections, and with them its timeline."""
    rows = await connection.fetch(sql("drill_corrections"), drill.id)
    until = drill.ended_at or drill.clock.now()
    return Timeline(connection, drill, until, by_entry(from_row(dict(row)) for row in rows))
