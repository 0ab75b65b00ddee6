"""Tokens for programs: shown once, kept as their digest, for some scopes and a time, until revoked."""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace, Role
from services.platform.access.asking import unauthorized
from services.platform.access.errors import conflict, invalid, unknown
from services.platform.access.principal import REPORT, Principal
from services.platform.access.statements import statement
from services.platform.postgres import Pool
from services.platform.problem import ProblemError

PREFIX = "muster"
SECRET_BYTES = 32
LONGEST = timedelta(days=366)
USED_EVERY = timedelta(seconds=60)
"""How exactly it is known when a token was last used; noting it costs a write."""
SCOPES = (*(role.value for role in Role), REPORT)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is on record: everything but its secret."""

    id: UUID
    name: str
    scopes: tuple[str, ...]
    departments: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime
    namespaces: tuple[str, ...]
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


class Tokens:
    """Issues, finds and revokes tokens."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def issue(
        self,
        name: str,
        *,
        scopes: Collection[str],
        departments: Collection[str] = (),
        by: str,
        now: datetime,
        expires_at: datetime,
        namespaces: Collection[str] = tuple(Namespace),
        key: str | None = None,
    ) -> tuple[Token, str]:
        """Issue a token and give it with the text that a program sends, which nobody can read again.

        Raises `AccessError`: for scopes that don't go together, for no or too late an expiry, and for an idempotency
        key that a token was issued under before.
        """
        _check(scopes, departments, now, expires_at, namespaces)
        id_ = uuid7()
        secret = secrets.token_urlsafe(SECRET_BYTES)
        given = [tuple(sorted(set(map(str, each)))) for each in (scopes, departments, namespaces)]
        token = Token(id_, name, given[0], given[1], by, now, expires_at, given[2])
        try:
            await self._pool.execute(
                statement("issue_token"),
                id_,
                _digest(secret),
                name,
                token.scopes,
                token.departments,
                by,
                now,
                expires_at,
                key,
                token.namespaces,
            )
        except asyncpg.UniqueViolationError:
            raise conflict(
                "a token was issued under this idempotency key, and shown then; where it was lost, revoke it"
                " and issue another under a new key"
            ) from None
        return token, f"{PREFIX}_{id_.hex}_{secret}"

    async def find(self, text: str, now: datetime) -> Principal:
        """Say whose token it is; raises `ProblemError` for one that isn't good."""
        id_, secret = _parts(text)
        row = await self._pool.fetchrow("SELECT * FROM tokens WHERE id = $1", id_)
        if row is None or not hmac.compare_digest(row["digest"], _digest(secret)):
            raise _bad("there is no such token")
        if row["revoked_at"] is not None:
            raise _bad("it was revoked; ask an administrator for another")
        if row["expires_at"] <= now:
            raise _bad(f"it expired at {row['expires_at'].isoformat()}; ask an administrator for another")
        if row["last_used_at"] is None or now - row["last_used_at"] > USED_EVERY:
            await self._pool.execute("UPDATE tokens SET last_used_at = $2 WHERE id = $1", id_, now)
        return Principal(
            id=row["id"],
            name=row["name"],
            roles=frozenset(Role(scope) for scope in row["scopes"] if scope != REPORT),
            departments=frozenset(row["departments"]),
            may_report=REPORT in row["scopes"],
            namespaces=frozenset(Namespace(each) for each in row["namespaces"]),
        )

    async def list(self, *, before: UUID | None = None, at_most: int = 100) -> list[Token]:
        """List tokens, newest first, revoked and expired ones too."""
        return [_token(row) for row in await self._pool.fetch(statement("list_tokens"), before, at_most)]

    async def revoke(self, id_: UUID, now: datetime) -> Token:
        """Revoke a token at once; a second time changes nothing. Raises `AccessError` for one that isn't there."""
        row = await self._pool.fetchrow(statement("revoke_token"), id_, now)
        if row is None:
            raise unknown("token", id_)
        return _token(row)

    async def prolong(self, id_: UUID, expires_at: datetime) -> None:
        """Let a token that wasn't revoked live longer."""
        await self._pool.execute(
            "UPDATE tokens SET expires_at = $2 WHERE id = $1 AND revoked_at IS NULL", id_, expires_at
        )


def _check(
    scopes: Collection[str],
    departments: Collection[str],
    now: datetime,
    expires_at: datetime,
    namespaces: Collection[str],
) -> None:
    unknown_scopes = sorted(set(scopes) - set(SCOPES))
    if unknown_scopes or not scopes:
        raise invalid(f"scopes: {', '.join(unknown_scopes) or 'there are none'}; take some of {', '.join(SCOPES)}")
    if (Role.DEPARTMENT.value in scopes) != bool(departments):
        raise invalid("departments: go with the scope department, and it with them")
    if not namespaces or not set(namespaces) <= set(Namespace):
        raise invalid(f"namespaces: take {' or '.join(Namespace)}, or both")
    if not now < expires_at <= now + LONGEST:
        raise invalid(f"expires_at: must be after now and within {LONGEST.days} days")


def _parts(text: str) -> tuple[UUID, str]:
    prefix, _, rest = text.partition("_")
    id_, _, secret = rest.partition("_")
    try:
        if prefix != PREFIX or not secret.isascii():
            raise ValueError
        return UUID(hex=id_), secret
    except ValueError:
        raise _bad("it isn't one; a token looks like muster_<id>_<secret>") from None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _bad(why: str) -> ProblemError:
    problem = unauthorized(f"the token is not good: {why}", "bad-token")
    problem.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return problem


def _token(row: asyncpg.Record) -> Token:
    values = dict(row)
    lists = {name: tuple(values[name]) for name in ("scopes", "departments", "namespaces")}
    return Token(**values | lists)
