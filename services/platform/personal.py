"""Personal data on record: found by incident or by what it says, told to whoever asks, and erased for good.

Which fields of a message are personal is said where they are defined (`schemas.base.PERSONAL_DATA`). In the timeline
the digest of what was erased takes its place, so that the chain holds on (`services.platform.chain`); elsewhere the
word `ERASED` does. Accounts of people who sign in are another matter: ``muster user``.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schemas.acknowledgement import Acknowledgement
from schemas.assignment import Assignment, IncidentSummary
from schemas.base import personal_fields
from schemas.command import CommandBase
from schemas.incident import IncidentReport
from schemas.timeline import PERSONAL_DETAIL, TimelineEntry
from services.platform.chain import digest_of, personal_of
from services.platform.entries import entry_from
from services.platform.errors import RefusedError
from services.platform.postgres import Connection, Pool
from services.platform.queries import query

ERASED = "[erased]"

_MESSAGES = (Acknowledgement, Assignment, CommandBase, IncidentReport, TimelineEntry)
FIELDS = frozenset(name for model in _MESSAGES for name in personal_fields(model))
"""Fields of messages that are personal; none of these names means anything else in another message."""
_WITHIN = {"detail": PERSONAL_DETAIL, "incident": frozenset(personal_fields(IncidentSummary))}
"""The same inside a field that is an object."""


@dataclass(frozen=True, slots=True)
class Place:
    """A column that holds personal data, and the one that names its row. ``kind`` is text, json or bytes."""

    table: str
    key: str
    column: str
    kind: str = "text"


PLACES = (
    Place("reports", "event_id", "body", "bytes"),
    Place("incidents", "id", "report", "json"),
    Place("inbox", "event_id", "input", "json"),
    Place("inbox", "event_id", "reason"),
    Place("outbox", "seq", "value", "json"),
    Place("assignments", "id", "reason"),
    Place("assignments", "id", "read_back"),
    Place("assignments", "id", "answered_by"),
    Place("obstacles", "id", "description"),
    Place("obstacles", "id", "owner"),
    Place("outbound_calls", "entry_id", "target"),
    Place("outbound_calls", "entry_id", "reason"),
    Place("dead_letters", "id", "value", "bytes"),
    Place("dead_letters", "id", "reason"),
)
"""Every column beside the timeline's own."""


@dataclass(frozen=True, slots=True)
class Found:
    """One value: in which table's row and column, of which incident, in which field of a message there."""

    table: str
    id: str
    incident_id: UUID | None
    field: str
    value: str


async def find_personal(pool: Pool, *, incident: UUID | None, says: str | None) -> list[Found]:
    """Tell all that is on record about people in an incident, or that says this; raises `RefusedError` for neither."""
    _check(incident, says)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        found = [
            Found("timeline", str(row["entry_id"]), row["incident_id"], name, str(value))
            for row in await _entries(connection, incident, says)
            for name, value in personal_of(entry_from(row)).items()
            if _matches(value, says)
        ]
        for place in PLACES:
            for row in await _rows(connection, place, incident, says):
                found += [
                    Found(place.table, str(row["key"]), row["incident_id"], field, value)
                    for field, value in _values(place, row["value"])
                    if value != ERASED and (place.kind == "bytes" or _matches(value, says))
                ]
    return found


async def erase_personal(pool: Pool, *, incident: UUID | None, says: str | None) -> dict[str, int]:
    """Erase it, in one transaction; gives how many rows of each table that were. Harmless to repeat."""
    _check(incident, says)
    done: dict[str, int] = {}
    async with pool.acquire() as connection, connection.transaction():
        found = [await _rows(connection, place, incident, says) for place in PLACES]
        entries = await _entries(connection, incident, says)
        ids = {row["incident_id"] for rows in (*found, entries) for row in rows} - {None}
        # A worker that has one of them in hand would write back what it read.
        await connection.execute(query("lock_incidents"), sorted(ids))
        for row in await _entries(connection, incident, says):
            entry = entry_from(row)
            personal = personal_of(entry)
            if not any(_matches(value, says) for value in personal.values()):
                continue
            detail = {name: value for name, value in entry.detail.items() if name not in PERSONAL_DETAIL}
            await connection.execute(
                "UPDATE timeline SET by = NULL, reason = NULL, salt = NULL, detail = $3::jsonb, withheld = $4"
                " WHERE entry_id = $1 AND recorded_at = $2",
                entry.entry_id,
                entry.recorded_at,
                json.dumps(detail),
                digest_of(personal, row["salt"]),
            )
            done["timeline"] = done.get("timeline", 0) + 1
        for place in PLACES:
            for row in await _rows(connection, place, incident, says):
                erased = _erase(place, row["value"], says)
                if erased == row["value"]:
                    continue
                cast = "jsonb" if place.table == "incidents" else "bytea" if place.kind == "bytes" else "text"
                # The names are this module's own; values are bound.
                await connection.execute(
                    f"UPDATE {place.table} SET {place.column} = $2::{cast} WHERE {place.key} = $1",  # noqa: S608
                    row["key"],
                    erased,
                )
                done[place.table] = done.get(place.table, 0) + 1
    return done


def _check(incident: UUID | None, says: str | None) -> None:
    if incident is None and not (says and says.strip()):
        raise RefusedError("name an incident, or what the data says")


def _matches(value: Any, says: str | None) -> bool:
    return says is None or says.casefold() in str(value).casefold()


async def _entries(connection: Connection, incident: UUID | None, says: str | None) -> list[Any]:
    rows: list[Any] = await connection.fetch(
        "SELECT * FROM timeline WHERE withheld IS NULL AND ($1::uuid IS NULL OR incident_id = $1)"
        " AND ($2::text IS NULL OR position(lower($2) IN lower(concat_ws(' ', by, reason, detail::text))) > 0)"
        " ORDER BY incident_id, number",
        incident,
        says,
    )
    return rows


async def _rows(connection: Connection, place: Place, incident: UUID | None, says: str | None) -> list[Any]:
    # What could not be read belongs to no incident, and is found by what it says only.
    owner = {"incidents": "id", "dead_letters": "NULL::uuid"}.get(place.table, "incident_id")
    holds = f"position(lower($2) IN lower({place.column}::text)) > 0"
    if place.kind == "bytes":
        # Kept as it came in, byte for byte: looked for as it was typed, and as JSON may write that.
        holds = f"position(convert_to($2, 'UTF8') IN {place.column}) > 0 OR position($3::bytea IN {place.column}) > 0"
    # The names are this module's own; values are bound.
    rows: list[Any] = await connection.fetch(
        f"SELECT {place.key} AS key, {owner} AS incident_id, {place.column} AS value FROM {place.table}"  # noqa: S608
        f" WHERE {place.column} IS NOT NULL AND ($1::uuid IS NULL OR {owner} = $1)"
        f" AND ($2::text IS NULL OR {holds}) ORDER BY 1",
        incident,
        says,
        *([_escaped(says)] if place.kind == "bytes" else []),
    )
    return rows


def _escaped(says: str | None) -> bytes:
    return json.dumps(says or "")[1:-1].encode()


def _values(place: Place, value: Any) -> Iterable[tuple[str, str]]:
    if place.kind != "json":
        yield place.column, bytes(value).decode(errors="replace") if place.kind == "bytes" else value
        return
    for name, part in json.loads(value).items():
        if name in FIELDS and part is not None:
            yield f"{place.column}.{name}", str(part)
        elif name in _WITHIN and isinstance(part, dict):
            yield from (
                (f"{place.column}.{name}.{inner}", str(told))
                for inner, told in part.items()
                if inner in _WITHIN[name] and told is not None
            )


def _erase(place: Place, value: Any, says: str | None) -> Any:
    if place.kind == "bytes":
        return ERASED.encode()
    if place.kind == "text":
        return ERASED if _matches(value, says) else value
    message = json.loads(value)
    changed = False
    for holder, names in ((message, FIELDS), *((message.get(name), inner) for name, inner in _WITHIN.items())):
        if not isinstance(holder, dict):
            continue
        for name in names & holder.keys():
            if holder[name] not in {None, ERASED} and _matches(holder[name], says):
                holder[name] = ERASED
                changed = True
    return json.dumps(message, ensure_ascii=False) if changed else value
