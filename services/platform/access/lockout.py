"""Lock-out: after some failures with a login, or from an address, the next attempt must wait, each time longer."""

import hashlib
from datetime import datetime, timedelta

from services.platform.access.statements import statement
from services.platform.postgres import Pool

LOGIN_FAILURES = 5
ADDRESS_FAILURES = 30
"""Failures before waiting begins; an address may be a whole office's."""
FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=12)
"""Time without an attempt after which earlier failures no longer count."""


class Lockout:
    """Counts failures. An attempt counts as failed from its beginning, so that many at once are no way around it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, login: str, address: str, now: datetime) -> timedelta | None:
        """Begin an attempt; returns how long to wait where it may not be made, and then counts nothing."""
        keys = _keys(login, address)
        row = await self._pool.fetchrow(
            statement("begin_attempt"),
            keys,
            [LOGIN_FAILURES, ADDRESS_FAILURES],
            now,
            FIRST_WAIT,
            LONGEST_WAIT,
            FORGOTTEN_AFTER,
        )
        assert row is not None  # noqa: S101 - an aggregate always gives a row
        if row["counted"] == len(keys):
            return None
        until = row["blocked_until"] or now + FIRST_WAIT
        return max(until - now, timedelta(seconds=1))

    async def succeeded(self, login: str, address: str) -> None:
        """Take the attempt back: the login's failures are over, the address's others remain."""
        await self._pool.execute(statement("settle_attempt"), *_keys(login, address))

    async def forgive(self, login: str) -> None:
        """Let a login be tried at once, as after an administrator has set a new password."""
        await self._pool.execute("DELETE FROM sign_in_attempts WHERE key = $1", _keys(login, "")[0])


def _keys(login: str, address: str) -> list[bytes]:
    return [hashlib.sha256(text.encode()).digest() for text in (f"login {login.casefold()}", f"address {address}")]
