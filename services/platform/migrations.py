"""Numbered SQL migrations with a small runner: an advisory lock, and a checksum for each that was applied."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from services.platform.chain_rows import chain_what_is_there
from services.platform.errors import MigrationError
from services.platform.postgres import Pool
from services.platform.roles import apply_roles

_FOLDER = Path(__file__).parent / "sql" / "migrations"
_LOCK = 0x6D757374  # "must": one key for all of Muster's migrations

_OURS = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('schema_migrations')"
"""Whether who asks owns the tables; no row where there are none yet."""
PARTITIONS_AHEAD = 3
"""Months for which partitions are made beforehand; a migration looks, and every service twice a day."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file, its number and the SHA-256 of its text."""

    number: int
    name: str
    sql: str
    checksum: str


def shipped() -> list[Migration]:
    """List the migrations of this version, in order."""
    found = []
    for path in sorted(_FOLDER.glob("*.sql")):
        sql = path.read_text(encoding="utf-8")
        number, _, name = path.stem.partition("_")
        found.append(Migration(int(number), name, sql, hashlib.sha256(sql.encode()).hexdigest()))
    return found


async def migrate(pool: Pool) -> list[str]:
    """Apply what is missing and return its names; any number of processes may call this at once.

    The tables' owner brings roles and their rights up to date too. Somebody else changes nothing and learns whether
    anything is missing. Raises `MigrationError` for that, when an applied migration differs from the shipped one, or
    is newer than this version.
    """
    applied: list[str] = []
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        ours = await connection.fetchval(_OURS)
        if ours is None:
            await connection.execute(
                "CREATE TABLE schema_migrations (number integer PRIMARY KEY, name text NOT NULL,"
                " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
        known = {row["number"]: row for row in await connection.fetch("SELECT * FROM schema_migrations")}
        migrations = shipped()
        unknown = sorted(set(known) - {migration.number for migration in migrations})
        if unknown:
            raise MigrationError(f"database: migration {unknown[0]} is newer than this version of Muster; upgrade it")
        for migration in migrations:
            row = known.get(migration.number)
            if row is None and ours is False:
                raise MigrationError(
                    f"database: migration {migration.number:04d}_{migration.name} is missing; run `muster migrate` as"
                    " the tables' owner"
                )
            if row is None:
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
                    migration.number,
                    migration.name,
                    migration.checksum,
                )
                applied.append(f"{migration.number:04d}_{migration.name}")
                if migration.name == "chain":
                    await chain_what_is_there(connection)
            elif row["checksum"] != migration.checksum:
                raise MigrationError(
                    f"database: migration {migration.number:04d}_{migration.name} was changed after it was applied;"
                    " restore the file"
                )
        if ours is not False:
            await apply_roles(connection)
        await connection.execute("SELECT make_partitions($1)", PARTITIONS_AHEAD)
    return applied
