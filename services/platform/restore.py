"""Puts a backup in the place of a lost database: beside it first, and under its name only when it is whole.

Until then the services find what was there before or nothing at all, and wait. See docs/record.md for the steps.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import asyncpg

from services.platform.backup import BackupError, Manifest, count_rows, read_backup
from services.platform.errors import RefusedError, UnreachableError
from services.platform.migrations import migrate
from services.platform.postgres import CONNECT_TIMEOUT, Connection, Pool, connect
from services.platform.postgres_programs import Progress, database_of, run_program, with_database
from services.platform.queries import query

MAINTENANCE = "postgres"
"""The database that every server has, to make and rename others from."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back. ``kept_as`` names the database that was there before, when it held anything."""

    manifest: Manifest
    database: str
    applied: tuple[str, ...]
    kept_as: str | None


async def restore(
    dsn: str,
    folder: Path,
    progress: Progress,
    *,
    replace: bool,
    finish: Callable[[Pool], Awaitable[None]],
) -> Restored:
    """Restore a backup as the database that ``dsn`` names; what was there is kept under another name.

    ``finish`` is called with the restored record before anybody else gets to see it. Raises `MusterError` in one line;
    then what was there is there still. Needs a role that may make databases.
    """
    progress("checking the backup")
    manifest = await read_backup(folder)
    name = database_of(dsn)
    fresh = f"{name}_restoring_{token_hex(4)}"
    async with _server(dsn) as server:
        before = await _found(server, dsn)
        if before is not None and before > 0 and not replace:
            raise RefusedError(
                f"database {name}: holds {before} tables; --replace puts the backup in its place and keeps it aside"
            )
        try:
            await _ensure_roles(server, manifest)
            await server.execute(f'CREATE DATABASE "{fresh}"')
            await run_program(
                "pg_restore",
                with_database(dsn, fresh),
                ("--no-owner", "--exit-on-error", "--jobs=2", str(folder / manifest.file.name)),
                progress,
            )
            progress("checking what was restored")
            pool = await connect(with_database(dsn, fresh), size=4, name="muster-restore")
            try:
                applied = await _make_whole(pool, manifest)
                if before is not None:
                    await _shut(server, name)
                await finish(pool)
                # Whoever watches a broker makes a new life known, reads on from its beginning, and sends what is open.
                await pool.execute("DELETE FROM epochs")
            finally:
                await pool.close()
            kept_as = await _swap(server, name, fresh, before)
        except asyncpg.PostgresError as error:
            raise BackupError(f"database {name}: {error}; nothing was changed") from error
        finally:
            with suppress(asyncpg.PostgresError, OSError):
                await server.execute(f'DROP DATABASE IF EXISTS "{fresh}" WITH (FORCE)')
                if await _found_name(server, name):
                    await server.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
    return Restored(manifest, name, applied, kept_as)


@asynccontextmanager
async def _server(dsn: str) -> AsyncIterator[Connection]:
    try:
        connection = await asyncpg.connect(with_database(dsn, MAINTENANCE), timeout=CONNECT_TIMEOUT)
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        where = dsn.rsplit("@", 1)[-1]
        raise UnreachableError(
            f"database {where}: {error or type(error).__name__}; check MUSTER_DATABASE and that PostgreSQL is running"
        ) from error
    try:
        yield connection
    finally:
        await connection.close()


async def _found_name(server: Connection, name: str) -> bool:
    found: bool = await server.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name)
    return found


async def _found(server: Connection, dsn: str) -> int | None:
    """Count the tables that are there now; None where the database itself is missing."""
    if not await _found_name(server, database_of(dsn)):
        return None
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT)
    try:
        return int(
            await connection.fetchval(
                "SELECT count(*) FROM pg_class"
                " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
            )
        )
    finally:
        await connection.close()


async def _ensure_roles(server: Connection, manifest: Manifest) -> None:
    """Make the roles that the backup's rights speak of; a backup of one database can't hold them."""
    for role in manifest.roles:
        if await server.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
            continue
        try:
            await server.execute(f'CREATE ROLE "{role}" NOLOGIN')
            await server.execute(f'GRANT "{role}" TO CURRENT_USER WITH INHERIT FALSE, SET TRUE')
        except asyncpg.InsufficientPrivilegeError:
            me = await server.fetchval("SELECT current_user")
            raise BackupError(
                f"role {role}: is missing and {me} may not make it; as a superuser:"
                f" CREATE ROLE {role} NOLOGIN; GRANT {role} TO {me} WITH INHERIT FALSE, SET TRUE"
            ) from None


async def _make_whole(pool: Pool, manifest: Manifest) -> tuple[str, ...]:
    async with pool.acquire() as connection:
        found = await count_rows(connection)
        for table in sorted(found.keys() | manifest.rows.keys()):
            if found.get(table) != manifest.rows.get(table):
                raise BackupError(f"{table}: {found.get(table)} rows restored of {manifest.rows.get(table)}")
        await connection.execute(query("forget_transactions"))
        await connection.execute("ANALYZE")
    return tuple(await migrate(pool))


async def _shut(server: Connection, name: str) -> None:
    """Let nobody into the old database any more, so that what is written now isn't written into the past."""
    await server.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
    await server.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name)


async def _swap(server: Connection, name: str, fresh: str, before: int | None) -> str | None:
    kept_as = f"{name}_before_{datetime.now(UTC):%Y%m%dt%H%M%Sz}"
    async with server.transaction():
        if before is not None:
            await server.execute(f'ALTER DATABASE "{name}" RENAME TO "{kept_as}"')
        await server.execute(f'ALTER DATABASE "{fresh}" RENAME TO "{name}"')
    if not before:
        await server.execute(f'DROP DATABASE IF EXISTS "{kept_as}"')
        return None
    await server.execute(f'ALTER DATABASE "{kept_as}" WITH ALLOW_CONNECTIONS true')
    return kept_as
