"""Chains over the timeline's rows: checked, and made for entries from before there were any."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from services.platform.chain import Head, chain_columns, digest_of, link, new_salt, personal_of, seal
from services.platform.entries import entry_from
from services.platform.postgres import Connection
from services.platform.records import rows

_AT_ONCE = 5_000


async def check_chains(connection: Connection) -> tuple[int, list[str]]:
    """Go through every chain; give how many entries there are, and each thing wrong, with its incident and entry.

    Must run inside a transaction. An entry is wrong when it isn't what was recorded, or isn't in its place.
    """
    heads = {
        row["incident_id"]: Head(row["number"], row["hash"])
        for row in await connection.fetch("SELECT incident_id, number, hash FROM chains WHERE forgotten_at IS NULL")
    }
    wrong: list[str] = []
    looked_at, incident, last = 0, None, Head()
    async for row in _in_order(connection):
        looked_at += 1
        if row["incident_id"] != incident:
            if incident is not None:
                wrong += _at_the_end(incident, last, heads.pop(incident, None))
            incident, last = row["incident_id"], Head()
        last, found = _follow(row, last)
        wrong += found
    if incident is not None:
        wrong += _at_the_end(incident, last, heads.pop(incident, None))
    for left, head in heads.items():
        wrong += _at_the_end(left, Head(), head)
    return looked_at, wrong


def _follow(row: Any, last: Head) -> tuple[Head, list[str]]:
    """Hold one entry against the one before it; the chain goes on from what it claims to be."""
    number, claimed, where = row["number"], row["hash"], f"incident {row['incident_id']}, entry"
    if number is None or claimed is None:
        return last, [f"{where} {row['entry_id']}: is in no chain"]
    head = Head(number, claimed)
    if number <= last.number:
        return head, [f"{where} {number}: stands there twice"]
    if number > last.number + 1:
        return head, [f"{where} {_span(last.number + 1, number - 1)}"]
    entry = entry_from(row)
    digest = row["withheld"] or digest_of(personal_of(entry), row["salt"])
    if link(last.hash, digest, entry, number) != claimed:
        return head, [f"{where} {number} ({entry.entry}): is not what was recorded, or not in its place"]
    return head, []


def _at_the_end(incident: UUID, last: Head, head: Head | None) -> list[str]:
    if head is None:
        return [f"incident {incident}, entry {last.number}: the chain has no head"]
    if last.number < head.number:
        return [f"incident {incident}, entry {_span(last.number + 1, head.number)}"]
    return [] if last == head else [f"incident {incident}, entry {last.number}: is not the chain's head"]


def _span(first: int, last: int) -> str:
    return f"{first}: is missing" if first == last else f"{first} to {last}: are missing"


async def _in_order(connection: Connection) -> AsyncIterator[Any]:
    async for row in connection.cursor("SELECT * FROM timeline ORDER BY incident_id, number, seq", prefetch=_AT_ONCE):
        yield row


async def chain_what_is_there(connection: Connection) -> None:
    """Put entries from before there were chains into theirs, in the order in which they were written."""
    await connection.execute("ALTER TABLE timeline DISABLE TRIGGER timeline_append_only")
    heads: dict[UUID, Head] = {}
    while found := await connection.fetch(
        "SELECT * FROM timeline WHERE number IS NULL ORDER BY recorded_at, seq LIMIT $1", _AT_ONCE
    ):
        sealed = seal([entry_from(row) for row in found], heads, new_salt)
        await connection.execute(
            "UPDATE timeline AS t SET number = n.number, salt = n.salt, hash = n.hash"
            " FROM jsonb_populate_recordset(NULL::timeline, $1::jsonb) AS n"
            " WHERE t.entry_id = n.entry_id AND t.recorded_at = n.recorded_at",
            rows([{"entry_id": e.entry_id, "recorded_at": e.recorded_at, **chain_columns(e)} for e in sealed]),
        )
    await connection.execute(
        "INSERT INTO chains SELECT DISTINCT ON (incident_id) incident_id, status, number, hash FROM timeline"
        " ORDER BY incident_id, number DESC"
    )
    await connection.execute("ALTER TABLE timeline ENABLE TRIGGER timeline_append_only")
