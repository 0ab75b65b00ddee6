"""A backup taken under load, a database that is lost after more work, and a record that has all of it again."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer

from schemas.assignment import Assignment
from schemas.command import Close
from schemas.envelope import COMMAND
from schemas.incident import IncidentReport
from schemas.topics import ASSIGNMENTS, COMMANDS, department_pattern, topic_name
from schemas.vocabulary import Answer, Namespace, Status
from services.cli import backup as commands
from services.dispatch import service as dispatch
from services.escalation import service as escalation
from services.platform.backup import DUMP, MANIFEST, BackupError
from services.platform.errors import RefusedError
from services.platform.invariants import check_invariants
from services.platform.postgres import Pool, connect
from services.platform.postgres_programs import database_of, with_database
from services.platform.runtime import Runtime
from services.platform.settings import Settings
from services.playbooks.stored import directory_from, plan_from
from services.tracking import service as tracking
from tests.services.support import (
    PLAYBOOKS,
    answer,
    publish_shipped,
    report,
    send,
    sent,
    sent_answer,
    sent_report,
    until,
)

SPEED = 600.0
"""How fast the exercise's clock runs, so that deadlines fall due while the test waits."""
NAMESPACE = Namespace.EXERCISE


Attach = Callable[[Runtime], None]
SERVICES: tuple[Attach, ...] = (dispatch.attach, tracking.attach, escalation.attach)


class Site:
    """A database, a broker, and the command line that works on them."""

    def __init__(self, database: str, broker: str) -> None:
        self.database = database
        self.broker = broker
        self.start = datetime.now(UTC)
        self.environment = {
            "MUSTER_DATABASE": self.database,
            "MUSTER_KAFKA": self.broker,
            "MUSTER_EMBEDDED_BROKER": "true",
            "MUSTER_NAMESPACE": NAMESPACE.value,
            "MUSTER_CLOCK_START": self.start.isoformat(),
            "MUSTER_CLOCK_SPEED": str(SPEED),
        }

    @asynccontextmanager
    async def services(self, *attached: Attach) -> AsyncIterator[Runtime]:
        """One process with these services; what is decided is published by any, one without a service too."""
        configured = Settings(
            database=self.database,
            kafka=self.broker,
            embedded_broker=True,
            namespace=NAMESPACE,
            clock_start=self.start,
            clock_speed=SPEED,
        )
        runtime = await Runtime.open(configured, "test", plan_from, directory_from)
        for attach in attached:
            attach(runtime)
        async with runtime:
            yield runtime

    @asynccontextmanager
    async def pool(self) -> AsyncIterator[Pool]:
        pool = await connect(self.database, size=3)
        try:
            yield pool
        finally:
            await pool.close()

    async def muster(self, *arguments: str) -> tuple[int | None, str, str]:
        """Run a command; gives its exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", *arguments),
            cwd=PLAYBOOKS.parent,
            env={"PATH": "/usr/bin:/bin", **self.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    async def drop(self) -> None:
        """Lose the database."""
        server = await asyncpg.connect(with_database(self.database, "postgres"))
        await server.execute(f'DROP DATABASE "{database_of(self.database)}" WITH (FORCE)')
        await server.close()


@pytest.fixture
async def site(database: str, broker: str) -> Site:
    site = Site(database, broker)
    async with site.pool() as pool:
        await publish_shipped(pool)
    return site


async def work(site: Site, pool: Pool, incidents: int, answered: Answer) -> list[IncidentReport]:
    """Report incidents and let departments answer every other order."""
    told = [report(status=Status.EXERCISE) for _ in range(incidents)]
    for one in told:
        await send(site.broker, sent_report(one))
        await asyncio.sleep(0.02)
    ids = [one.incident_id for one in told]

    async def issued() -> list[asyncpg.Record]:
        found = await pool.fetch("SELECT * FROM assignments WHERE incident_id = ANY ($1) ORDER BY issued_at, id", ids)
        return found if len({row["incident_id"] for row in found}) == incidents else []

    rows = await until(issued)
    await send(site.broker, *[sent_answer(answer(row, answered)) for row in rows[::2]])
    return told


async def everything_published(pool: Pool) -> bool:
    return bool(await pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"))


def unwrapped(command: Callable[..., None]) -> Callable[..., Awaitable[None]]:
    """Give the function that a command runs."""
    found: Callable[..., Awaitable[None]] = command.__wrapped__  # type: ignore[attr-defined] # functools.wraps
    return found


Record = dict[str, dict[UUID, dict[str, Any]]]
"""The rows of each table, by id."""


async def record(pool: Pool) -> Record:
    """Read all that was decided, without what only says where a row stands or when it was written here."""
    keys = {"assignments": "id", "activations": "id", "timeline": "entry_id", "incidents": "id", "inbox": "event_id"}
    leave_out = {"seq", "xid"}
    found: Record = {}
    for table, key in keys.items():
        rows = await pool.fetch(f"SELECT * FROM {table}")  # noqa: S608 - the test's own words
        skipped = leave_out | ({"recorded_at"} if table == "incidents" else set())
        found[table] = {row[key]: {name: value for name, value in row.items() if name not in skipped} for row in rows}
    return found


def differences(was: Record, is_: Record) -> list[str]:
    """Say which values of which rows differ."""
    said: list[str] = []
    for table, rows in was.items():
        said += [f"{table} {key}: gone" for key in rows.keys() - is_[table].keys()]
        said += [f"{table} {key}: new" for key in is_[table].keys() - rows.keys()]
        said += [
            f"{table} {key} {name}: {value} was {rows[key][name]}"
            for key, row in is_[table].items()
            if key in rows
            for name, value in row.items()
            if value != rows[key][name]
        ]
    return said


async def orders_heard(site: Site) -> dict[UUID, int]:
    """Count the messages about each assignment that all departments have been sent."""
    consumer = AIOKafkaConsumer(bootstrap_servers=site.broker, auto_offset_reset="earliest")
    consumer.subscribe(pattern=department_pattern(ASSIGNMENTS, NAMESPACE))
    await consumer.start()
    heard: dict[UUID, int] = {}
    try:
        while found := await consumer.getmany(timeout_ms=1_500):
            for order in (Assignment.model_validate_json(each.value) for some in found.values() for each in some):
                heard[order.assignment_id] = heard.get(order.assignment_id, 0) + 1
    finally:
        await consumer.stop()
    return heard


async def test_what_was_lost_is_decided_again_and_what_is_open_goes_out_again(site: Site, tmp_path: Path) -> None:
    """After a loss the record is row for row what it was: the backup, and what the broker has of the time since."""
    folder = tmp_path / "backup"
    async with site.services(*SERVICES), site.pool() as pool:
        before, (code, said, err) = await asyncio.gather(
            work(site, pool, 8, Answer.COMMIT), site.muster("backup", str(folder), "--json")
        )
        assert code == 0, err
        manifest = json.loads(said)["manifest"]
        after = await work(site, pool, 4, Answer.DELIVER)
        close = Close(
            incident_id=before[0].incident_id,
            status=Status.EXERCISE,
            by="Li",
            reason="over",
            decided_at=datetime.now(UTC),
        )
        await send(site.broker, sent(close, COMMAND, topic_name(COMMANDS, NAMESPACE)))

        async def escalated() -> bool:
            found = await pool.fetchval(
                "SELECT count(DISTINCT incident_id) FROM timeline"
                " WHERE entry IN ('department_reminded', 'silence_escalated') AND incident_id = ANY ($1)",
                [one.incident_id for one in after],
            )
            over = await pool.fetchval("SELECT EXISTS (SELECT FROM activations WHERE state = 'stood_down')")
            return bool(over and found == len(after))

        await until(escalated, 30)
    # What was decided in the moment of stopping may wait in the outbox, and a broker can't give back what it never had.
    async with site.services(), site.pool() as pool:
        await until(lambda: everything_published(pool), 30)
        lost = await record(pool)
    heard = await orders_heard(site)
    assert manifest["rows"]["incidents"] < len(lost["incidents"])

    await site.drop()
    code, said, err = await site.muster("restore", str(folder), "--json")
    assert code == 0, err
    caught_up = json.loads(said)["caught_up"]["exercise"]
    assert caught_up["decided"] >= len(after)
    assert caught_up["passed"] > 0
    async with site.pool() as pool:
        found = await record(pool)
        assert differences(lost, found) == []
        open_orders = {
            row["id"]
            for row in await pool.fetch("SELECT id FROM assignments WHERE ended_at IS NULL AND completed_at IS NULL")
        }

    async with site.services(*SERVICES), site.pool() as pool:
        await until(lambda: everything_published(pool))
        broken = [finding for finding in await check_invariants(pool) if finding.broken]
    assert not broken, broken
    again = await orders_heard(site)
    assert open_orders
    assert all(again[id_] > heard[id_] for id_ in open_orders)


async def test_a_backup_replaces_only_what_it_is_told_to(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is overwritten without being asked, nothing half-written is left, and a damaged backup is refused."""
    for name, value in site.environment.items():
        monkeypatch.setenv(name, value)
    backup, restore = unwrapped(commands.backup), unwrapped(commands.restore)
    folder = tmp_path / "backup"
    await backup(folder)
    assert " rows of " in capsys.readouterr().out
    with pytest.raises(RefusedError, match="is there already"):
        await backup(folder)
    with pytest.raises(RefusedError, match="--replace"):
        await restore(folder)
    async with site.pool() as pool:
        await pool.execute("DELETE FROM publication")
    capsys.readouterr()
    await restore(folder, replace=True, as_json=True)
    kept = json.loads(capsys.readouterr().out)["restored"]["kept_as"]
    async with site.pool() as pool:
        assert await pool.fetchval("SELECT count(*) FROM publication") == 1
        actions = await pool.fetch("SELECT action FROM audit ORDER BY id")
        assert [row["action"] for row in actions] == ["backup.restore"]
        databases = {row["datname"] for row in await pool.fetch("SELECT datname FROM pg_database")}
        assert not [name for name in databases if name.startswith(f"{database_of(site.database)}_restoring_")]
        await pool.execute(f'DROP DATABASE "{kept}"')
    dump = folder / DUMP
    dump.write_bytes(dump.read_bytes()[:-1] + b"x")
    with pytest.raises(BackupError, match="differs from its manifest"):
        await restore(folder, replace=True)
    (folder / MANIFEST).write_text("{}")
    with pytest.raises(BackupError, match="is not a manifest of this version"):
        await restore(folder, replace=True)
    with pytest.raises(BackupError, match="No such file"):
        await restore(tmp_path / "nothing", replace=True)
