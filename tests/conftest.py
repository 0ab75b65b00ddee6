"""Real servers for tests: PostgreSQL and a broker from wheels, started once; a fresh database for each test."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from services.platform.embedded.broker import EmbeddedBroker
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.migrations import migrate
from services.platform.postgres import Pool, connect

TEMPLATE = "muster_template"
MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a folder of its own in it
ROOM = 6 * 1024**3
"""Bytes that must be free in memory for the tests' folders to be there; a run takes some hundred megabytes."""

# A shared, noisy machine says nothing about an example's time.
settings.register_profile("muster", deadline=None)
settings.load_profile("muster")


def pytest_configure() -> None:
    """Keep the tests' folders in memory where there is room: a disk can take a second for a new database's files."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage, which is that of the domain, where the domain is tested: it slows down what it looks at."""
    for item in items:
        if "domain" not in item.path.parts:
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server whose template database has all migrations; gives its address."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False)
    dsn = await server.start()
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"CREATE DATABASE {TEMPLATE}")
    await connection.close()
    pool = await connect(database_named(dsn, TEMPLATE))
    await migrate(pool)
    await pool.close()
    yield dsn
    await server.stop()


def database_named(dsn: str, name: str) -> str:
    """Point an address at another database of the same server."""
    return f"{dsn.rsplit('/', 1)[0]}/{name}"


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[str]:
    """A fresh, migrated database; gives its address."""
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield database_named(postgres, name)
    # A vacuum of the server's own may be at work in it, which nobody may end; the server goes with the session anyway.
    with suppress(asyncpg.InsufficientPrivilegeError):
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    """Connections to the test's own database."""
    pool = await connect(database)
    yield pool
    await asyncio.wait_for(pool.close(), timeout=5)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[str]:
    """An empty embedded broker of the test's own; gives its bootstrap address."""
    server = EmbeddedBroker(tmp_path / "broker")
    yield await server.start()
    await server.stop()
