"""Browsers that have signed in: a random token each, kept as its digest only, and changed as time goes by.

The token changes at sign-in, with the password, and every so often in use. As several requests of one page may be
under way at that moment, and an answer may be lost on its way, the token before stays good for `GRACE`, and beyond
that until the new one was seen to have arrived. A token that comes back later was copied: the session ends.
"""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from schemas.vocabulary import Role
from services.platform.access.lockout import FORGOTTEN_AFTER
from services.platform.access.principal import Principal
from services.platform.access.settings import AccessSettings
from services.platform.access.statements import statement
from services.platform.postgres import Pool

TOKEN_BYTES = 32
GRACE = timedelta(seconds=60)
SEEN_EVERY = timedelta(seconds=60)
"""How exactly it is known when a session was last used; noting it costs a write."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it was found. ``token`` is set when the browser must be given a new one."""

    caller: Principal
    expires_at: datetime
    token: str | None = None


class StaleTokenError(Exception):
    """A session's token came back after it had been changed; ``caller`` is whose session was ended."""

    def __init__(self, caller: Principal) -> None:
        super().__init__("a session's token was used after it had been changed")
        self.caller = caller


class Sessions:
    """Begins, finds and ends sessions."""

    def __init__(self, pool: Pool, settings: AccessSettings) -> None:
        self._pool = pool
        self._settings = settings

    async def begin(self, person_id: UUID, address: str, now: datetime) -> str:
        """Begin a session and give its token; what has expired is cleared away."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await self._pool.execute(
            statement("begin_session"),
            uuid7(),
            _digest(token),
            person_id,
            secrets.token_urlsafe(TOKEN_BYTES),
            address,
            now,
            now + self._settings.session_lifetime,
            self._settings.session_idle,
            FORGOTTEN_AFTER,
        )
        return token

    async def find(self, token: str, now: datetime, *, may_rotate: bool) -> Session | None:
        """Find the session of a token; raises `StaleTokenError` for a token that was changed long ago."""
        digest = _digest(token)
        row = await self._pool.fetchrow(statement("find_session"), digest, now, self._settings.session_idle)
        if row is None:
            return None
        found = Session(_caller(row), row["expires_at"])
        age = now - row["rotated_at"]
        if not row["current"] and age > GRACE and row["confirmed"]:
            await self.end(row["session"])
            raise StaleTokenError(found.caller)
        due = self._settings.session_rotation if row["current"] else GRACE
        if may_rotate and age > due:
            return await self._rotate(found, row, digest, now)
        if now - row["last_seen_at"] > SEEN_EVERY or (row["current"] and not row["confirmed"]):
            await self._pool.execute(statement("touch_session"), row["session"], now, row["current"])
        return found

    async def end(self, session: UUID) -> None:
        """End one session."""
        await self._pool.execute("DELETE FROM sessions WHERE id = $1", session)

    async def end_token(self, token: str) -> None:
        """End the session of a token, if there is one."""
        await self._pool.execute("DELETE FROM sessions WHERE digest = $1 OR previous = $1", _digest(token))

    async def end_all(self, person_id: UUID) -> None:
        """End every session of a person."""
        await self._pool.execute("DELETE FROM sessions WHERE person_id = $1", person_id)

    async def _rotate(self, found: Session, row: asyncpg.Record, digest: bytes, now: datetime) -> Session:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        rotated = await self._pool.fetchval(
            statement("rotate_session"), row["session"], digest, _digest(token), row["rotated_at"], now
        )
        return replace(found, token=token) if rotated else found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _caller(row: asyncpg.Record) -> Principal:
    return Principal(
        id=row["id"],
        name=row["name"],
        roles=frozenset(Role(role) for role in row["roles"]),
        departments=frozenset(row["departments"]),
        session=row["session"],
        csrf=row["csrf"],
        must_change=row["must_change"],
    )
