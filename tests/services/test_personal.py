"""What is on record about people can be told, and erased without breaking a chain or leaving a trace."""

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from schemas.command import Close
from schemas.envelope import COMMAND
from schemas.vocabulary import Namespace, Status
from services.domain.decision import Commanded
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming
from services.platform.errors import RefusedError
from services.platform.kafka import Origin
from services.platform.personal import ERASED, FIELDS, PLACES, erase_personal, find_personal
from services.platform.postgres import Pool
from services.platform.published import PublishedPlaybook
from services.playbooks.stored import directory_from, plan_from
from tests.services.record_support import decide, wrong
from tests.services.support import publish_shipped, report

NAME, PHONE = "Ou-Yang Xiulan", "+86 138 0013 8000"


async def search(pool: Pool, text: str) -> list[str]:
    """Name every table of the database that holds a text anywhere."""
    tables = await pool.fetch(
        "SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
    )
    return [
        name
        for (name,) in tables
        if await pool.fetchval(f'SELECT EXISTS (SELECT FROM "{name}" AS t WHERE strpos(t::text, $1) > 0)', text)  # noqa: S608
    ]


async def closed_by_somebody(pool: Pool) -> tuple[object, object]:
    """Put two incidents on record that name a person in a report and a command, and one of the two keeps a report."""
    await publish_shipped(pool)
    mine, other = (report(reported_by=f"{NAME}, {PHONE}", headline=f"{NAME} saw it") for _ in range(2))
    await decide(pool, [mine, other])
    await pool.execute(
        "INSERT INTO reports VALUES ($1, $2, 'Actual', 'test', 'k', 'application/json', $3, now())",
        uuid7(),
        mine.incident_id,
        f'{{"reported_by": "{NAME}"}}'.encode(),
    )
    close = Close(
        incident_id=mine.incident_id, status=Status.ACTUAL, by=NAME, reason=f"call {PHONE}", decided_at=mine.reported_at
    )
    playbook = PublishedPlaybook(pool, plan_from, directory_from)
    decider = Decider(pool, playbook, SystemClock(), Namespace.ACTUAL, "test")
    await decider.decide([Incoming(Commanded(uuid7(), close, None), COMMAND, Origin("test", 0, 0, None))])
    return mine.incident_id, other.incident_id


async def test_a_person_is_found_everywhere_and_erased_without_breaking_a_chain(pool: Pool) -> None:
    """After erasing by what it says no table holds the name, other words stay, and every chain holds on."""
    await closed_by_somebody(pool)
    found = await find_personal(pool, incident=None, says=NAME)
    assert {each.table for each in found} >= {"timeline", "incidents", "inbox", "outbox", "reports"}
    in_any_case = await find_personal(pool, incident=None, says=NAME.upper())
    assert in_any_case == [each for each in found if each.table != "reports"]  # kept as bytes
    for text in (NAME, PHONE):
        assert await search(pool, text)
        await erase_personal(pool, incident=None, says=text)
        assert not await search(pool, text)
    assert not await find_personal(pool, incident=None, says=NAME)
    assert not await wrong(pool)
    assert await pool.fetchval("SELECT count(*) FROM timeline WHERE withheld IS NOT NULL AND salt IS NULL")
    assert not await erase_personal(pool, incident=None, says=NAME)
    await decide(pool, [report()])  # the record goes on


async def test_one_incident_is_erased_and_others_are_not(pool: Pool) -> None:
    """All personal data of an incident goes; that of another stays, and both chains hold on."""
    mine, other = await closed_by_somebody(pool)
    await erase_personal(pool, incident=mine, says=None)  # type: ignore[arg-type] # an id
    left = await find_personal(pool, incident=mine, says=None)  # type: ignore[arg-type] # an id
    assert not left
    assert await find_personal(pool, incident=other, says=NAME)  # type: ignore[arg-type] # an id
    told = await pool.fetchval("SELECT report FROM incidents WHERE id = $1", mine)
    assert ERASED in told
    assert not await wrong(pool)


async def test_nothing_else_of_an_entry_can_be_changed(pool: Pool) -> None:
    """The database lets what is personal be taken out of an entry, and nothing be put in or altered."""
    await closed_by_somebody(pool)
    for change in (
        "by = 'Li', withheld = 'x', salt = NULL",
        "by = NULL, reason = NULL, salt = NULL, withheld = 'x', department = 'nobody'",
        "by = NULL, reason = NULL, salt = NULL, withheld = 'x', detail = detail || '{\"plan\": \"y\"}'",
        "hash = 'x'",
    ):
        with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
            await pool.execute(f"UPDATE timeline SET {change}")  # noqa: S608 - the test's own words


async def test_somebody_or_something_must_be_named(pool: Pool) -> None:
    """Neither everything is told nor everything erased for want of a word; what is searched is what is marked."""
    for says in (None, "", "  "):
        with pytest.raises(RefusedError, match="name an incident"):
            await erase_personal(pool, incident=None, says=says)
    assert {"by", "reason", "note", "read_back", "reported_by", "headline", "description", "instruction"} <= FIELDS
    there = await pool.fetch("SELECT table_name, column_name FROM information_schema.columns")
    columns = {tuple(row) for row in there}
    assert {(place.table, place.column) for place in PLACES} <= columns
