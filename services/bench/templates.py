"""What Muster wrote about one event, as a mould: the floor writes the same rows and messages, with ids of its own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.platform.postgres import Connection

Message = tuple[str, bytes, bytes, list[tuple[str, bytes]]]
"""Topic, key, value, headers."""
Rows = dict[str, list[tuple[Any, ...]]]
"""Rows to copy, by table."""

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TABLES = {
    "inbox": "SELECT * FROM inbox WHERE incident_id = $1 AND decided_at >= $2",
    "incidents": "SELECT * FROM incidents WHERE id = $1 AND recorded_at >= $2"
    " AND (SELECT count(*) FROM inbox WHERE incident_id = $1) = 1",
    "activations": "SELECT * FROM activations WHERE incident_id = $1 AND matched_at >= $2",
    "assignments": "SELECT * FROM assignments WHERE incident_id = $1 AND issued_at >= $2 ORDER BY id",
    "chains": "SELECT * FROM chains WHERE incident_id = $1 AND $2::timestamptz IS NOT NULL"
    " AND (SELECT count(*) FROM inbox WHERE incident_id = $1) = 1",
    "timeline": "SELECT * FROM timeline WHERE incident_id = $1 AND recorded_at >= $2 ORDER BY seq",
}
_MADE = (
    "SELECT attname FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
    " WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped"
    " AND attidentity = '' AND attgenerated = ''"
    " AND coalesce(pg_get_expr(d.adbin, d.adrelid), '') NOT LIKE '%xact%' ORDER BY attnum"
)


@dataclass(frozen=True, slots=True)
class _Text:
    form: str
    names: tuple[str, ...]

    def write(self, ids: Mapping[str, str]) -> str:
        return self.form % tuple(ids[name] for name in self.names)


class _Row:
    """One row: what is the same every time, and what is put in at which place."""

    def __init__(self, cells: Sequence[Mapping[str, Any]]) -> None:
        self._same = [bytes.fromhex(cell["hex"]) if "hex" in cell else cell.get("same") for cell in cells]
        self._ids = [(place, cell["id"]) for place, cell in enumerate(cells) if "id" in cell]
        self._texts = [(place, _Text(*cell["text"])) for place, cell in enumerate(cells) if "text" in cell]
        self._times = [(place, timedelta(seconds=cell["after"])) for place, cell in enumerate(cells) if "after" in cell]

    def write(self, ids: Mapping[str, str], now: datetime) -> tuple[Any, ...]:
        row = self._same.copy()
        for place, name in self._ids:
            row[place] = ids[name]
        for place, text in self._texts:
            row[place] = text.write(ids)
        for place, after in self._times:
            row[place] = now + after
        return tuple(row)


class Template:
    """Rows by table and messages, of one event."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.tables: dict[str, list[str]] = document["columns"]

    @property
    def topics(self) -> set[str]:
        """The topics that its messages go to."""
        return {each["topic"] for each in self._document["messages"]}

    @cached_property
    def _rows(self) -> list[tuple[str, _Row]]:
        return [(table, _Row(cells)) for table, rows in self._document["rows"].items() for cells in rows]

    @cached_property
    def _messages(self) -> list[tuple[str, _Text, list[tuple[str, _Text]]]]:
        return [
            (each["topic"], _Text(*each["value"]), [(name, _Text(*text)) for name, text in each["headers"]])
            for each in self._document["messages"]
        ]

    def write(self, given: Mapping[str, str], now: datetime, rows: Rows) -> list[Message]:
        """Add one event's rows to ``rows`` and give its messages; ids that aren't given are new."""
        ids = {name: given.get(name) or str(uuid7()) for name in self._document["ids"]}
        for table, row in self._rows:
            rows[table].append(row.write(ids, now))
        key = given["incident"].encode()
        return [
            (topic, key, value.write(ids).encode(), [(name, text.write(ids).encode()) for name, text in headers])
            for topic, value, headers in self._messages
        ]


class _Moulding:
    def __init__(self, known: Mapping[UUID, str], now: datetime) -> None:
        self.names = {str(id_): name for id_, name in known.items()}
        self._now = now

    def name(self, id_: str) -> str:
        return self.names.setdefault(id_, f"new-{len(self.names)}")

    def text(self, value: str) -> tuple[str, list[str]]:
        names: list[str] = []

        def slot(match: re.Match[str]) -> str:
            names.append(self.name(match[0]))
            return "%s"

        return _ID.sub(slot, value.replace("%", "%%")), names

    def cell(self, value: Any) -> dict[str, Any]:
        if isinstance(value, UUID):
            return {"id": self.name(str(value))}
        if isinstance(value, datetime):
            return {"after": (value - self._now).total_seconds()}
        if isinstance(value, bytes):
            return {"hex": value.hex()}
        if isinstance(value, str) and _ID.search(value):
            return {"text": self.text(value)}
        return {"same": value}


async def mould(
    connection: Connection, event_id: UUID, known: Mapping[UUID, str], messages: Sequence[Message], prefix: str
) -> dict[str, Any]:
    """Read what was written about an incident's last event: rows that it made, and the messages it led to.

    ``known`` names the ids that will be given, the incident's as ``incident``. Rows that it changed are not told.
    """
    incident_id = next(id_ for id_, name in known.items() if name == "incident")
    decided_at = await connection.fetchval("SELECT decided_at FROM inbox WHERE event_id = $1", event_id)
    found = _Moulding({**known, event_id: "event"}, decided_at)
    columns: dict[str, list[str]] = {}
    rows: dict[str, list[list[dict[str, Any]]]] = {}
    for table, sql in _TABLES.items():
        made = [row["attname"] for row in await connection.fetch(_MADE, table)]
        records = await connection.fetch(sql, incident_id, decided_at)
        if records:
            columns[table] = made
            rows[table] = [[found.cell(record[column]) for column in made] for record in records]
    moulded = [
        {
            "topic": prefix + topic,
            "value": found.text(value.decode()),
            "headers": [(name, found.text(text.decode())) for name, text in headers],
        }
        for topic, _, value, headers in messages
    ]
    return {"columns": columns, "rows": rows, "messages": moulded, "ids": list(found.names.values())}
