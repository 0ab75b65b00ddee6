"""Entries of the timeline as they are read from its rows."""

import json

import asyncpg

from schemas.timeline import TimelineEntry

_MACHINERY = frozenset({"xid", "seq"})
"""Columns that say where a row stands in this database, and nothing about the incident."""


def entry_of(row: asyncpg.Record) -> TimelineEntry:
    """Read an entry from its row."""
    values = {name: value for name, value in row.items() if name not in _MACHINERY}
    return TimelineEntry(**{**values, "detail": json.loads(row["detail"])})
