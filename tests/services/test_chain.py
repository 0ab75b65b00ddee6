"""The chain of an incident's timeline: whole after real work, and every way of tampering with it is found and named."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from schemas.timeline import Entry, TimelineEntry
from services.platform.chain import START, Head, canonical, digest_of, link, new_salt, personal_of, seal
from services.platform.chain_rows import chain_what_is_there, check_chains
from services.platform.errors import RefusedError
from services.platform.invariants import Finding
from services.platform.postgres import Pool
from services.platform.witness import WITNESSED, check_witnessed
from tests.services.record_support import decide, wrong
from tests.services.support import publish_shipped, report

NUMBERS = {
    "whole": 1.0,
    "large": 1e22,
    "largest": 1.7976931348623157e308,
    "small": 1e-7,
    "nothing": -0.0,
    "sum": 0.1 + 0.2,
    "far": 2**70,
    "text": "1.0",
    "zh": '氯气\u2028泄漏 \\ " \x7f',
    "none": None,
    "nested": [{"b": 1, "a": None, "c": [1.50, True]}],
    "ä": 0,
    "z": 0,
}

WORDS = st.recursive(
    st.one_of(st.text(), st.integers(), st.booleans(), st.floats(1e-12, 1e-3), st.uuids()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), WORDS))
def test_a_form_is_what_the_standard_library_writes(fields: dict[str, Any]) -> None:
    """Whichever writer is taken: a chain is checked for as long as it is kept, and by whoever reads how it is made."""
    said = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    assert canonical(fields).decode() == said


@pytest.fixture
async def incident(pool: Pool) -> UUID:
    """An incident with a chain, beside another one."""
    await publish_shipped(pool)
    told = report()
    await decide(pool, [told, report()])
    assert not await wrong(pool)
    return told.incident_id


async def test_what_joins_another_response_is_in_that_ones_chain(pool: Pool) -> None:
    """Entries that one incident's report makes in another's timeline keep both chains whole, in one batch and later."""
    await publish_shipped(pool)
    first = report()
    again = [first.model_copy(update={"incident_id": uuid7()}) for _ in range(3)]
    await decide(pool, [first, again[0]])
    await decide(pool, again[1:])
    joined = await pool.fetchval(
        "SELECT count(*) FROM timeline WHERE entry = 'incident_joined' AND incident_id = $1", first.incident_id
    )
    assert joined == 3
    assert not await wrong(pool)


async def test_every_message_carries_its_place_and_its_hash(pool: Pool, incident: UUID) -> None:
    """What is published is enough to follow the chain outside, and ends in the head that is on record."""
    values = await pool.fetch(
        "SELECT value FROM outbox WHERE incident_id = $1 AND type = 'muster.timeline' ORDER BY seq", incident
    )
    last = Head()
    for row in values:
        entry = TimelineEntry.model_validate_json(row["value"])
        digest = digest_of(personal_of(entry), bytes.fromhex(entry.salt) if entry.salt else None)
        last = Head(last.number + 1, link(last.hash, digest, entry, last.number + 1))
        assert (entry.number, entry.hash) == (last.number, last.hash.hex())
    head = await pool.fetchrow("SELECT number, hash FROM chains WHERE incident_id = $1", incident)
    assert head is not None
    assert (head["number"], head["hash"]) == (last.number, last.hash)


TAMPERINGS = {
    "changed field": ("UPDATE timeline SET department = 'nobody' WHERE incident_id = $1 AND number = 3", "entry 3 "),
    "changed time": (
        "UPDATE timeline SET occurred_at = occurred_at - interval '1 second' WHERE incident_id = $1 AND number = 2",
        "entry 2 ",
    ),
    "changed name": ("UPDATE timeline SET by = 'somebody else' WHERE incident_id = $1 AND number = 1", "entry 1 "),
    "changed detail": (
        'UPDATE timeline SET detail = detail || \'{"plan": "other"}\' WHERE incident_id = $1 AND number = 2',
        "entry 2 ",
    ),
    "changed with its own hash": (
        "UPDATE timeline SET reason = 'x', hash = sha256('x') WHERE incident_id = $1 AND number = 4",
        "entry 4 ",
    ),
    "missing first": ("DELETE FROM timeline WHERE incident_id = $1 AND number = 1", "entry 1: is missing"),
    "missing in the middle": ("DELETE FROM timeline WHERE incident_id = $1 AND number = 3", "entry 3: is missing"),
    "missing last": (
        (
            "DELETE FROM timeline WHERE incident_id = $1 AND number ="
            " (SELECT max(number) FROM timeline WHERE incident_id = $1)"
        ),
        ": is missing",
    ),
    "missing all": ("DELETE FROM timeline WHERE incident_id = $1", "entry 1 to "),
    "reordered": (
        "UPDATE timeline SET number = 7 - number WHERE incident_id = $1 AND number IN (3, 4)",
        "entry 3 ",
    ),
    "reordered with their hashes": (
        (
            "UPDATE timeline AS t SET number = o.number, hash = o.hash FROM timeline AS o WHERE t.incident_id = $1"
            " AND o.incident_id = $1 AND t.number IN (3, 4) AND o.number = 7 - t.number"
        ),
        "entry 3 ",
    ),
    "told twice": (
        "UPDATE timeline SET number = 2 WHERE incident_id = $1 AND number = 3",
        "entry 2: stands there twice",
    ),
    "moved to another incident": (
        (
            "UPDATE timeline SET incident_id = (SELECT incident_id FROM chains WHERE incident_id <> $1)"
            " WHERE incident_id = $1 AND number = 3"
        ),
        "entry 3: is missing",
    ),
    "changed head": ("UPDATE chains SET hash = sha256('x') WHERE incident_id = $1", "is not the chain's head"),
    "missing head": ("DELETE FROM chains WHERE incident_id = $1", "the chain has no head"),
    "cut short with its head": (
        (
            "WITH cut AS (DELETE FROM timeline WHERE incident_id = $1 AND number > 3)"
            " UPDATE chains SET number = 3 WHERE incident_id = $1"
        ),
        "entry 3: is not the chain's head",
    ),
}


@pytest.mark.parametrize(("statement", "found"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
async def test_tampering_is_found_and_named(pool: Pool, incident: UUID, statement: str, found: str) -> None:
    """Whatever was done to the rows behind Muster's back, the incident and the entry are named."""
    async with pool.acquire() as connection:
        await connection.execute("ALTER TABLE timeline DISABLE TRIGGER timeline_append_only")
        await connection.execute(statement, incident)
    told = await wrong(pool)
    assert any(f"incident {incident}" in line and found in line for line in told), told


async def test_a_chain_that_was_rewritten_with_its_head_is_found_by_what_others_kept(
    pool: Pool, incident: UUID, tmp_path: Path
) -> None:
    """Every hash fits again, so that only the messages that went out tell; nothing else in the file is wrong."""
    values = await pool.fetch("SELECT value FROM outbox WHERE type = 'muster.timeline' ORDER BY seq")
    kept = tmp_path / "kept.jsonl"
    kept.write_text("".join(f"{row['value']}\n" for row in values))
    assert await check_witnessed(pool, kept) == Finding(WITNESSED, len(values), 0, ())
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE timeline DISABLE TRIGGER timeline_append_only")
        await connection.execute("UPDATE timeline SET by = 'another' WHERE incident_id = $1 AND number = 1", incident)
        await connection.execute("UPDATE timeline SET number = NULL, hash = NULL WHERE incident_id = $1", incident)
        await connection.execute("TRUNCATE chains")
        await chain_what_is_there(connection)
    assert not await wrong(pool)
    found = await check_witnessed(pool, kept)
    own = await pool.fetchval("SELECT number FROM chains WHERE incident_id = $1", incident)
    assert found.broken == own
    assert found.examples[0] == f"incident {incident}, entry 1: is not what was kept of it"
    await pool.execute("UPDATE chains SET forgotten_at = now() WHERE incident_id = $1", incident)
    assert (await check_witnessed(pool, kept)).broken == 1, "its last hash stays"


async def test_what_was_kept_is_refused_by_its_line(pool: Pool, tmp_path: Path) -> None:
    """A file that isn't one of kept entries is refused in one line that says where."""
    kept = tmp_path / "kept.jsonl"
    kept.write_text(f'{{"incident_id": "{uuid7()}", "number": 1, "hash": "{"0" * 64}"}}\n\n{{"number": 0}}\n')
    with pytest.raises(RefusedError, match=r"kept\.jsonl:3: incident_id: Field required; give a JSON document a line"):
        await check_witnessed(pool, kept)
    with pytest.raises(RefusedError, match=r"nothing: No such file or directory"):
        await check_witnessed(pool, tmp_path / "nothing")


async def test_entries_from_before_are_put_into_chains(pool: Pool, incident: UUID) -> None:
    """A record that is older than the chains gets them when it is brought up to this version."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE timeline DISABLE TRIGGER timeline_append_only")
        await connection.execute("UPDATE timeline SET number = NULL, salt = NULL, hash = NULL")
        await connection.execute("TRUNCATE chains")
        before = (await check_chains(connection))[1]
        await chain_what_is_there(connection)
    assert any(f"incident {incident}" in line and "is in no chain" in line for line in before)
    assert not await wrong(pool)


async def test_numbers_and_text_come_back_from_the_database_as_they_were_sealed(pool: Pool, incident: UUID) -> None:
    """What JSON and PostgreSQL write in more than one way has one form in the chain."""
    first = await pool.fetchrow("SELECT * FROM timeline WHERE incident_id = $1 AND number = 1", incident)
    assert first is not None
    entry = TimelineEntry(
        **{name: first[name] for name in ("incident_id", "status", "occurred_at", "recorded_at")},
        entry_id=uuid7(),
        entry=Entry.PROGRESSED,
        by="Li Wei",
        detail=NUMBERS,
    )
    (sealed,) = seal([entry], {}, new_salt)
    back = await pool.fetchval("SELECT $1::jsonb::text", sealed.model_dump_json())
    read = TimelineEntry.model_validate_json(back)
    assert read.salt is not None
    assert link(START, digest_of(personal_of(read), bytes.fromhex(read.salt)), read, 1).hex() == sealed.hash
