"""Opening the door: access for a process, the first administrator, the demo's people, the operator's own token."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from schemas.vocabulary import Role
from services.platform.access.access import Access
from services.platform.access.passwords import one_time_password
from services.platform.access.people import Person, new_person
from services.platform.access.principal import STAFF
from services.platform.access.settings import read_access, read_oidc
from services.platform.postgres import connect
from services.platform.rights import ACCESS

FIRST_LOGIN = "admin"
DEMO_PASSWORD = "muster-demo-2026"  # noqa: S105 - public by purpose: the embedded demo's, on loopback only
"""What every one of the demo's people signs in with; documented, and never used outside the embedded demo."""
DEMO_STAFF: Mapping[str, tuple[str, tuple[Role, ...]]] = {
    "admin": ("Demo administrator", (Role.ADMINISTRATOR,)),
    "officer": ("Demo duty officer", (Role.DUTY_OFFICER,)),
    "planner": ("Demo planner", (Role.PLANNER,)),
    "evaluator": ("Demo evaluator", (Role.EVALUATOR,)),
    "auditor": ("Demo auditor", (Role.AUDITOR,)),
}
LIVES = timedelta(hours=2)
PROLONGED_EVERY = timedelta(minutes=30)
"""How long a local token outlives a process that was killed, and how often it is prolonged."""
_SIZE = 4
_NOBODY_YET = "SELECT NOT EXISTS (SELECT FROM people)"
_LOCK = "SELECT pg_advisory_lock(hashtext('muster.first-run'))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtext('muster.first-run'))"


async def open_access(database: str, *, size: int = _SIZE, **given: Any) -> Access:
    """Connect under access's own role; settings that aren't ``given`` come from the environment.

    Raises `MusterError` in one line.
    """
    settings, oidc = read_access(**given), read_oidc()
    pool = await connect(database, size=size, name="muster-access", role=ACCESS)
    if oidc is None:
        return Access(pool, settings)
    from services.platform.access.oidc import Provider  # its HTTP client and cryptography are for those who set it

    return Access(pool, settings, provider=Provider(oidc, pool))


async def first_run(access: Access) -> str | None:
    """Add the first administrator where there is nobody yet; gives the one-time password of ``admin``, else None.

    Any number of processes may call this at once.
    """
    password = one_time_password()
    person = new_person(FIRST_LOGIN, "Administrator", [Role.ADMINISTRATOR], must_change=True)
    added = await _add_first(access, [(person, await access.passwords.hash(password))])
    return password if added else None


async def demo_people(access: Access) -> list[str]:
    """Add the demo's people where there is nobody yet: one for each role, one for each department of the directory.

    Gives their logins; none when there was somebody. All have `DEMO_PASSWORD`: this is for the embedded demo only.
    """
    hashed = await access.passwords.hash(DEMO_PASSWORD)
    staff = [new_person(login, name, roles) for login, (name, roles) in DEMO_STAFF.items()]
    members = [new_person(id_, title, [Role.DEPARTMENT], [id_]) for id_, title, _ in await access.people.departments()]
    people = [*staff, *members]
    return [person.login for person in people] if await _add_first(access, [(each, hashed) for each in people]) else []


async def is_demo(access: Access) -> bool:
    """Say whether the demo's people can sign in with `DEMO_PASSWORD`."""
    known = await access.people.by_login(next(iter(DEMO_STAFF)))
    return known is not None and await access.passwords.verify(known.password, DEMO_PASSWORD)


async def _add_first(access: Access, people: list[tuple[Person, str]]) -> bool:
    async with access.pool.acquire() as connection:
        await connection.execute(_LOCK)
        try:
            if not await connection.fetchval(_NOBODY_YET):
                return False
            for person, hashed in people:
                await access.people.add(person, hashed, access.now())
            await access.note(None, "person.add", ", ".join(person.login for person, _ in people), how="first start")
        finally:
            await connection.execute(_UNLOCK)
    return True


@dataclass(frozen=True, slots=True)
class LocalToken:
    """The token of the operator of this machine; lives as long as the process that keeps it."""

    id: UUID
    text: str
    access: Access

    async def keep(self) -> None:
        """Prolong it from time to time, until cancelled."""
        while True:
            await asyncio.sleep(PROLONGED_EVERY.total_seconds())
            await self.access.tokens.prolong(self.id, self.access.now() + LIVES)

    async def revoke(self) -> None:
        """End it."""
        await self.access.tokens.revoke(self.id, self.access.now())
        await self.access.note(None, "token.revoke", str(self.id), how="muster up stops")


async def local_token(access: Access, name: str) -> LocalToken:
    """Issue a token for who runs this process: all that staff may do. ``name`` is what goes on record as ``by``."""
    now = access.now()
    token, text = await access.tokens.issue(
        name, scopes=[role.value for role in STAFF], by="muster up", now=now, expires_at=now + LIVES
    )
    await access.note(None, "token.issue", str(token.id), name=name, scopes=token.scopes, how="muster up starts")
    return LocalToken(token.id, text, access)
