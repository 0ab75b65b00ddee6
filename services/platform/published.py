"""The published plans and directory, read from Postgres and kept current by NOTIFY."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import asyncpg

from services.domain.directory import Directory
from services.domain.matching import PlanIndex
from services.domain.plan import Plan
from services.domain.playbook import Playbook
from services.platform.errors import RefusedError, UnpublishedError
from services.platform.postgres import Connection, Pool

CHANNEL = "muster_published"
CompilePlan = Callable[[dict[str, Any]], Plan]
CompileDirectory = Callable[[dict[str, Any]], Directory]

_LATEST = "SELECT id, plans, directory FROM publication ORDER BY id DESC LIMIT 1"


class PublishedPlaybook:
    """Gives the playbook in force; compiles each wording once, whoever asks."""

    def __init__(self, pool: Pool, compile_plan: CompilePlan, compile_directory: CompileDirectory) -> None:
        self._pool = pool
        self._compile_plan = compile_plan
        self._compile_directory = compile_directory
        self._frozen: dict[str, Plan] = {}
        self._current: Playbook | None = None
        self._read_last: tuple[list[str], str] | None = None
        self._stale = True
        self._lock = asyncio.Lock()

    async def current(self, digests: Iterable[str] = (), connection: Connection | None = None) -> Playbook:
        """Give the playbook in force, able to look up these wordings too; raises `UnpublishedError`.

        Who holds a connection gives it: were all of the pool held by such as wait for another one here, none came free.
        """
        missing = [digest for digest in digests if digest not in self._frozen]
        if self._current is None or self._stale or missing:
            async with self._lock:
                try:
                    await self._read(missing, connection or self._pool)
                except BaseException:
                    self._stale = True  # what was to be read is still to be read
                    raise
        if self._current is None:
            raise UnpublishedError("database: no plans are published; run `muster plan publish`")
        return self._current

    async def _read(self, missing: list[str], database: Connection | Pool) -> None:
        self._stale = False
        latest = await database.fetchrow(_LATEST)
        if latest is None:
            self._stale = True
            return
        wanted = [digest for digest in {*latest["plans"], *missing} if digest not in self._frozen]
        for row in await database.fetch("SELECT digest, document FROM plans WHERE digest = ANY ($1)", wanted):
            self._frozen[row["digest"]] = self._compile_plan(json.loads(row["document"]))
        if self._current is not None and self._read_last == (latest["plans"], latest["directory"]):
            return  # of what is in force nothing has changed: thousands of departments take a second to read
        directory = await database.fetchval("SELECT document FROM directories WHERE digest = $1", latest["directory"])
        self._read_last = (latest["plans"], latest["directory"])
        self._current = Playbook(
            published=PlanIndex(self._frozen[digest] for digest in latest["plans"]),
            frozen=self._frozen,
            directory=self._compile_directory(json.loads(directory)),
        )

    async def follow(self) -> None:
        """Listen for new publications until cancelled; also look again every minute, should a NOTIFY be missed."""
        while True:
            try:
                async with self._pool.acquire() as connection:
                    await connection.add_listener(CHANNEL, self._on_notify)
                    try:
                        while True:
                            await asyncio.sleep(60)
                            self._stale = True
                            await connection.execute("SELECT 1")
                    finally:
                        if not connection.is_closed():
                            await connection.remove_listener(CHANNEL, self._on_notify)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self._stale = True
                await asyncio.sleep(1)

    def _on_notify(self, *_: object) -> None:
        self._stale = True


async def publish(
    pool: Pool,
    plans: list[tuple[str, str, int, str]],
    directory: tuple[str, str],
) -> bool:
    """Put wordings into force: (digest, id, version, JSON) of every plan, (digest, JSON) of the directory.

    Returns False when exactly these are in force already. Raises `RefusedError` when a plan's text changed and
    its version did not.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('muster.publish'))")
        digests = sorted(digest for digest, *_ in plans)
        latest = await connection.fetchrow(_LATEST)
        if latest is not None and sorted(latest["plans"]) == digests and latest["directory"] == directory[0]:
            return False
        for digest, plan, version, document in plans:
            known = await connection.fetchval(
                "SELECT digest FROM plans WHERE plan = $1 AND version = $2", plan, version
            )
            if known is None:
                await connection.execute(
                    "INSERT INTO plans (digest, plan, version, document) VALUES ($1, $2, $3, $4::jsonb)",
                    digest,
                    plan,
                    version,
                    document,
                )
            elif known != digest:
                raise RefusedError(f"plan {plan}: version {version} is published with another text; raise the version")
        await connection.execute(
            "INSERT INTO directories (digest, document) VALUES ($1, $2::jsonb) ON CONFLICT DO NOTHING", *directory
        )
        await connection.execute("INSERT INTO publication (plans, directory) VALUES ($1, $2)", digests, directory[0])
        await connection.execute(f"NOTIFY {CHANNEL}")
    return True


async def published_departments(pool: Pool) -> list[str]:
    """List the departments of the directory in force; raises `UnpublishedError`."""
    document = await pool.fetchval(
        "SELECT document FROM directories WHERE digest = (SELECT directory FROM publication ORDER BY id DESC LIMIT 1)"
    )
    if document is None:
        raise UnpublishedError("database: no directory is published; run `muster plan publish`")
    return sorted(department["id"] for department in json.loads(document)["departments"])
