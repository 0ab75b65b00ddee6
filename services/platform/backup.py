"""A backup of the record: one folder with everything the database holds at one moment, and what it must add up to.

PostgreSQL's own ``pg_dump`` writes it from one snapshot, whatever is being written meanwhile. The manifest beside it
says when that was, what was counted on the same snapshot, and the file's digest.
"""

import asyncio
import hashlib
import os
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, ValidationError

from schemas.base import Document
from services.platform.errors import MusterError, RefusedError
from services.platform.migrations import shipped
from services.platform.postgres import Connection, Pool
from services.platform.postgres_programs import Progress, database_of, run_program
from services.platform.queries import query

DUMP = "record.dump"
MANIFEST = "manifest.json"


class BackupError(MusterError):
    """A backup that can't be used."""


class BackedUpFile(Document):
    """A file of a backup as it must be found."""

    name: Literal["record.dump"]
    bytes: Annotated[int, Field(gt=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(Document):
    """What a backup holds. ``rows`` counts each table on the dump's own snapshot; ``roles`` are those it names."""

    format: Literal[1] = 1
    taken_at: AwareDatetime
    muster: str
    postgres: str
    database: str
    migrations: dict[int, str]
    roles: tuple[str, ...]
    rows: dict[str, int]
    file: BackedUpFile


async def take_backup(pool: Pool, dsn: str, folder: Path, progress: Progress) -> Manifest:
    """Write a backup into a new folder, which is there whole or not at all; raises `MusterError` in one line.

    Writers are not kept waiting.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        _begin(folder, partial)
        manifest = await _write(pool, dsn, partial, progress)
        partial.rename(folder)
        await asyncio.to_thread(_sync, folder.parent)
    except OSError as error:
        raise BackupError(f"{folder}: {error.strerror or error}; nothing is kept of it") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _begin(folder: Path, partial: Path) -> None:
    if folder.exists():
        raise RefusedError(f"{folder} is there already; name a folder that isn't")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)


async def _write(pool: Pool, dsn: str, partial: Path, progress: Progress) -> Manifest:
    dump = partial / DUMP
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        snapshot, taken_at, postgres = await connection.fetchrow(
            "SELECT pg_export_snapshot(), now(), current_setting('server_version')"
        ) or ("", datetime.now(UTC), "")
        progress("counting rows")
        rows = await count_rows(connection)
        # gzip's quickest: the wheel's programs know no other, and a higher level doubles the time for a tenth.
        arguments = ("--format=custom", "--compress=gzip:1", "--no-owner", "--snapshot", snapshot, "--file", str(dump))
        await run_program("pg_dump", dsn, arguments, progress)
        migrations = await connection.fetch("SELECT number, checksum FROM schema_migrations ORDER BY number")
        roles = await connection.fetch(query("roles_named"))
    progress("checking what was written")
    dump.chmod(0o600)
    digest = await asyncio.to_thread(_digest, dump)
    manifest = Manifest(
        taken_at=taken_at,
        muster=version("muster"),
        postgres=postgres,
        database=database_of(dsn),
        migrations={row["number"]: row["checksum"] for row in migrations},
        roles=tuple(row["rolname"] for row in roles),
        rows=rows,
        file=BackedUpFile(name="record.dump", bytes=dump.stat().st_size, sha256=digest),
    )
    path = partial / MANIFEST
    path.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    path.chmod(0o600)
    for written in (dump, path, partial):
        await asyncio.to_thread(_sync, written)
    return manifest


async def count_rows(connection: Connection) -> dict[str, int]:
    """Count the rows of every table."""
    names = await connection.fetch(
        "SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace"
        " AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
    )
    # Names come from the catalogue and are quoted.
    return {
        name: await connection.fetchval(f'SELECT count(*) FROM "{name}"')  # noqa: S608
        for (name,) in names
    }


async def read_backup(folder: Path) -> Manifest:
    """Read a backup's manifest and hold its file against it; raises `BackupError` for anything that isn't right."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        found = (folder / manifest.file.name).stat().st_size
        digest = await asyncio.to_thread(_digest, folder / manifest.file.name)
    except OSError as error:
        raise BackupError(
            f"{error.filename or folder}: {error.strerror}; name a folder that muster backup made"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise BackupError(
            f"{folder / MANIFEST}: {where}: {first['msg']}; it is not a manifest of this version"
        ) from None
    if (found, digest) != (manifest.file.bytes, manifest.file.sha256):
        raise BackupError(f"{folder / manifest.file.name}: differs from its manifest; take another backup")
    known = {migration.number: migration.checksum for migration in shipped()}
    for number, checksum in manifest.migrations.items():
        if known.get(number) != checksum:
            raise BackupError(
                f"{folder}: migration {number} is not one of this version of Muster; restore with a newer one"
            )
    return manifest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
