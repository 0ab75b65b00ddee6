"""The connection pool, and which database errors pass by themselves."""

import asyncio
from typing import TYPE_CHECKING

import asyncpg

from services.platform.errors import UnreachableError

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:  # the classes can't be subscripted at run time
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection
CONNECT_TIMEOUT = 10.0
"""Seconds to wait for one connection."""
IDLE_IN_TRANSACTION = "15s"
"""How long the server keeps a transaction, and its locks, for a client that says nothing.

A process that was stopped, or whose host has gone, would otherwise hold up its incidents until TCP gives up, in hours.
"""

TRANSIENT = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a connection says whose server died in the middle of an answer
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    # While a lost database is put back it isn't there, lets nobody in, has no roles yet, or is still empty.
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidParameterValueError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.UndefinedTableError,
    asyncpg.InvalidCachedStatementError,
)
"""Errors that another try may not meet again."""


async def connect(dsn: str, *, size: int = 8, name: str = "muster", role: str | None = None) -> Pool:
    """Open a pool of at most ``size`` connections; raises `UnreachableError` in one line.

    They take on the ``role`` (see `services.platform.rights`); without one they are who the address says.
    """
    taken = {} if role is None else {"role": role}
    try:
        return await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            timeout=CONNECT_TIMEOUT,
            command_timeout=60,
            server_settings={
                "application_name": name,
                "timezone": "UTC",
                "jit": "off",
                "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION,
                **taken,
            },
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        where = dsn.rsplit("@", 1)[-1]
        raise UnreachableError(
            f"database {where}: {error or type(error).__name__}; check MUSTER_DATABASE and that PostgreSQL is running"
        ) from error
