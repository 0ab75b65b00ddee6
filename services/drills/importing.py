"""A drill arrives from another Muster: checked row by row, written in one transaction, marked as imported.

It keeps its ids and can't be anything but an exercise that is over: nothing of it is published, falls due, or touches
a row of another incident. The same file twice changes nothing; a later one adds the corrections and improvement items
made since.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import asyncpg
from pydantic import ValidationError

from schemas.timeline import TimelineEntry
from schemas.vocabulary import Namespace
from services.drills.bundle import GROWING, TABLES, Bundle
from services.drills.export import OVER, read_bundle
from services.drills.record import DrillError
from services.platform.chain import chain_columns, new_salt, seal
from services.platform.one_line import one_line
from services.platform.postgres import Connection, Pool
from services.platform.rights import role_name

EXERCISE = "Exercise"
_CHUNK = 5_000
"""Rows written in one statement."""
_SHARED = frozenset({"directories", "plans"})
_OF_INCIDENT = frozenset({"activations", "assignments", "obstacles", "timeline"})
_OF_DRILL = frozenset(
    {"drill_pauses", "drill_controls", "drill_injects", "corrections", "improvements", "drill_ratings"}
)
_NOT_TOLD = ("xid", "seq")
"""Columns that say where a row stands in one database; another gives its own."""
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: whether the drill is new here, and how many rows were added."""

    drill_id: UUID
    new: bool
    rows: int


async def import_bundle(pool: Pool, bundle: Bundle) -> Imported:
    """Write a drill; raises `DrillError`, and writes nothing, when it isn't one or disagrees with what is here."""
    rows = check_bundle(bundle)
    try:
        async with pool.acquire() as connection, connection.transaction():
            # Whoever brings it in, the database itself lets nothing real be written.
            await connection.execute(f"SET LOCAL ROLE {role_name(Namespace.EXERCISE)}")
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('muster.drill.import'))")
            return await _write(connection, bundle, rows)
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.InterfaceError) as error:
        raise DrillError(one_line(f"drill {bundle.drill_id}: does not fit into this Muster: {error}")) from error


async def _write(connection: Connection, bundle: Bundle, rows: Rows) -> Imported:
    known = await connection.fetchval("SELECT true FROM drills WHERE id = $1", bundle.drill_id)
    if known:
        here = await read_bundle(connection, bundle.drill_id)
        differs = [
            table for table in TABLES if table not in GROWING and here.rows.get(table, ()) != bundle.rows.get(table, ())
        ]
        if differs:
            _refuse(bundle, f"is on record here with other {', '.join(differs)}")
    else:
        await _check_unknown(connection, bundle, rows)
    await _check_wordings(connection, bundle, rows)
    marks = {"imported_at": datetime.now(UTC).isoformat(), "imported_digest": bundle.digest}
    added = 0
    for table in TABLES:
        if known and table not in GROWING:
            continue
        given = rows[table]
        if table == "drills":
            given = [{**row, **marks} for row in given]
        if table == "timeline":
            await _begin_chains(connection, given := _in_chains(bundle, given))
        if table in _SHARED:
            given = [{**row, "published_at": marks["imported_at"]} for row in given]
        new = await _insert(connection, bundle, table, given)
        if not known and table not in _SHARED and new < len(given):
            _refuse(bundle, f"has rows of {table} that are on record here without it")
        added += new
    return Imported(bundle.drill_id, not known, added)


def _in_chains(bundle: Bundle, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the entries chains here: those they were in before stay where they come from."""
    try:
        entries = [TimelineEntry.model_validate(row) for row in given]
    except ValidationError as error:
        first = error.errors()[0]
        _refuse(bundle, f"does not fit into this Muster: timeline: {first['loc'][0]}: {first['msg']}")
    entries.sort(key=lambda entry: (entry.recorded_at, entry.entry_id))
    places = {str(entry.entry_id): chain_columns(entry) for entry in seal(entries, {}, new_salt)}
    return [{**row, **places[row["entry_id"]]} for row in given]


async def _begin_chains(connection: Connection, given: list[dict[str, Any]]) -> None:
    last = {row["incident_id"]: row for row in sorted(given, key=lambda row: int(row["number"]))}
    heads = [{name: row[name] for name in ("incident_id", "status", "number", "hash")} for row in last.values()]
    await connection.execute(
        "INSERT INTO chains SELECT * FROM jsonb_populate_recordset(NULL::chains, $1::jsonb)", json.dumps(heads)
    )


async def _insert(connection: Connection, bundle: Bundle, table: str, rows: list[dict[str, Any]]) -> int:
    columns = {
        row["column_name"]
        for row in await connection.fetch(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = $1 AND column_name <> ALL ($2::text[])",
            table,
            _NOT_TOLD,
        )
    }
    if any(not columns.issuperset(row) for row in rows):
        _refuse(bundle, f"its {table} have columns that this version of Muster doesn't know; upgrade it")
    added = 0
    for begin in range(0, len(rows), _CHUNK):
        part = rows[begin : begin + _CHUNK]
        names = ", ".join(f'"{name}"' for name in sorted(set().union(*part)))
        # The names of tables and columns are this module's own and the database's; values are bound.
        done = await connection.execute(
            f"INSERT INTO {table} ({names}) SELECT {names}"  # noqa: S608
            f" FROM jsonb_populate_recordset(NULL::{table}, $1::jsonb) ON CONFLICT DO NOTHING",
            json.dumps(part),
        )
        added += int(done.rsplit(" ", 1)[-1])
    return added


def check_bundle(bundle: Bundle) -> Rows:
    """Read a bundle's rows; raises `DrillError` for what is not one exercise that is over, with only its own rows."""
    rows: Rows = {table: list(_read(bundle, table)) for table in TABLES}
    if len(rows["drills"]) != 1 or rows["drills"][0].get("id") != str(bundle.drill_id):
        _refuse(bundle, "does not hold exactly the drill that its manifest names")
    drill = rows["drills"][0]
    ids = drill.get("incident_ids")
    if not isinstance(ids, list) or not all(isinstance(id_, str) for id_ in ids):
        _refuse(bundle, "its drill has no list of incident_ids")
    incidents, items = set(ids), {_id(row, "id") for row in rows["improvements"]}
    events = {_id(row, "event_id") for row in rows["drill_injects"]}
    for table in TABLES:
        for row in rows[table]:
            mine = {
                **({"status": row.get("status") == EXERCISE} if table not in _SHARED else {}),
                **({"incident_id": _id(row, "incident_id") in incidents} if table in _OF_INCIDENT else {}),
                **({"id": _id(row, "id") in incidents} if table == "incidents" else {}),
                **({"drill_id": row.get("drill_id") == str(bundle.drill_id)} if table in _OF_DRILL else {}),
                **({"event_id": _id(row, "event_id") in events} if table == "inbox" else {}),
                **({"improvement_id": _id(row, "improvement_id") in items} if table == "improvement_history" else {}),
                **({"digest": _id(row, "digest") is not None} if table in _SHARED else {}),
                **({"document": isinstance(row.get("document"), dict)} if table in _SHARED else {}),
            }
            wrong = [name for name, right in mine.items() if not right]
            if wrong:
                _strange(bundle, table, row, wrong[0])
    for row in rows["drill_injects"]:
        if row.get("incident_id") is not None and _id(row, "incident_id") not in incidents:
            _strange(bundle, "drill_injects", row, "incident_id")
    if drill.get("ended_at") is None or any(_id(row, "phase") not in OVER for row in rows["incidents"]):
        _refuse(bundle, "is not over")
    if any(row.get("next_due_at") is not None for table in ("activations", "assignments") for row in rows[table]):
        _refuse(bundle, "something of it would still fall due")
    return rows


def _read(bundle: Bundle, table: str) -> Iterator[dict[str, Any]]:
    try:
        for row in bundle.of(table):
            if not isinstance(row, dict):
                _refuse(bundle, f"a row of {table} is not a JSON object")
            yield row
    except (ValueError, RecursionError):
        _refuse(bundle, f"a row of {table} is not JSON")


def _id(row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) else None


def _strange(bundle: Bundle, table: str, row: dict[str, Any], name: str) -> NoReturn:
    _refuse(bundle, f"a row of {table} is not of this drill: {name} is {ascii(row.get(name))[:80]}")


async def _check_unknown(connection: Connection, bundle: Bundle, rows: Rows) -> None:
    """Refuse a drill that is new here while rows of its are not: they belong to something else."""
    taken = await connection.fetchval(
        "SELECT id FROM incidents WHERE id = ANY ($1::uuid[]) UNION ALL"
        " SELECT incident_id FROM timeline WHERE incident_id = ANY ($1::uuid[]) LIMIT 1",
        rows["drills"][0]["incident_ids"],
    )
    if taken is not None:
        _refuse(bundle, f"its incident {taken} is on record here without it")


async def _check_wordings(connection: Connection, bundle: Bundle, rows: Rows) -> None:
    """Refuse a plan or directory that isn't what its digest names, or that is published here with another text."""
    for table in sorted(_SHARED):
        for row in rows[table]:
            text = json.dumps(row["document"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            if hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() != row["digest"]:
                _refuse(bundle, f"a text in {table} is not the one that its digest names")
    for row in rows["plans"]:
        if _id(row, "plan") is None or not isinstance(row.get("version"), int):
            _strange(bundle, "plans", row, "plan")
        if (row["document"].get("id"), row["document"].get("version")) != (row["plan"], row["version"]):
            _refuse(bundle, f"plan {row['plan']} version {row['version']} has another id or version in its text")
        here = await connection.fetchval(
            "SELECT digest FROM plans WHERE plan = $1 AND version = $2", row["plan"], row["version"]
        )
        if here not in {None, row["digest"]}:
            _refuse(bundle, f"plan {row['plan']} version {row['version']} is published here with another text")


def _refuse(bundle: Bundle, why: str) -> NoReturn:
    raise DrillError(f"drill {bundle.drill_id}: {why}; nothing was imported")
