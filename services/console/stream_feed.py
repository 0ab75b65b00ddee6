"""The timeline read as a stream: window by window, each entry once, as the bytes of its event."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from schemas.timeline import TimelineEntry
from schemas.vocabulary import Namespace
from services.console.stream_place import Place, Snapshot
from services.console.world import statement
from services.platform.decider import statuses
from services.platform.entries import entry_of
from services.platform.postgres import Pool

AT_ONCE = 500
"""Entries read and passed on together."""


@dataclass(frozen=True, slots=True)
class Told:
    """One entry as it is told: ``body`` is its event without the id, ``event`` with it."""

    entry: TimelineEntry
    transaction: int
    seq: int
    body: bytes
    event: bytes


@dataclass(frozen=True, slots=True)
class Window:
    """A part of what ``upto`` sees and ``seen`` didn't; ``place`` is where its end leaves a reader."""

    seen: Snapshot
    upto: Snapshot
    told: tuple[Told, ...]
    place: Place


class Feed:
    """Reads one namespace's timeline as it grows."""

    def __init__(self, pool: Pool, namespace: Namespace) -> None:
        self._pool = pool
        self._statuses = statuses(namespace)

    async def now(self) -> Snapshot:
        """Give the snapshot of this moment."""
        return Snapshot(await self._pool.fetchval("SELECT pg_current_snapshot()::text"))

    async def read(
        self,
        place: Place,
        upto: Snapshot | None = None,
        *,
        incident: UUID | None = None,
        departments: Sequence[str] | None = None,
    ) -> Window | None:
        """Read on from a place, at most `AT_ONCE` entries, as far as a snapshot or as there is; None at the end."""
        if place.upto is None:
            target = upto or await self.now()
            if place.seen.covers(target):
                return None
        else:
            target = place.upto
        rows = await self._pool.fetch(
            statement("stream_window"),
            place.seen.text,
            target.text,
            place.seq,
            self._statuses,
            incident,
            None if departments is None else list(departments),
            AT_ONCE,
        )
        end = Place(target) if len(rows) < AT_ONCE else Place(place.seen, target, rows[-1]["seq"])
        last = len(rows) - 1
        told = (
            _told(row, end if number == last else Place(place.seen, target, row["seq"]))
            for number, row in enumerate(rows)
        )
        return Window(place.seen, target, tuple(told), end)


def event(kind: str, data: str, place: Place | None = None) -> bytes:
    """Write an event of a stream (WHATWG HTML, 9.2.6); the data is on one line."""
    where = "" if place is None else f"id: {place}\n"
    return f"event: {kind}\n{where}data: {data}\n\n".encode()


def _told(row: asyncpg.Record, place: Place) -> Told:
    entry = entry_of(row)
    body = f"event: entry\ndata: {entry.model_dump_json()}\n".encode()
    return Told(entry, row["xid"], row["seq"], body, with_id(body, place))


def with_id(body: bytes, place: Place) -> bytes:
    """End an event with its id."""
    return body + f"id: {place}\n\n".encode()
