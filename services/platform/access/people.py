"""People who may sign in: their roles, departments and passwords, on record."""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from schemas.vocabulary import Role
from services.platform.access.errors import conflict, invalid, unknown
from services.platform.access.statements import statement
from services.platform.postgres import Connection, Pool

LONGEST = 100
"""Characters of a login or a name."""
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('muster.people'))"


@dataclass(frozen=True, slots=True)
class Person:
    """A person as on record. ``login`` is what is typed, ``name`` what stands in every record of what was done."""

    id: UUID
    login: str
    name: str
    roles: tuple[str, ...]
    departments: tuple[str, ...] = ()
    must_change: bool = False
    external: bool = False
    created_at: datetime | None = None
    disabled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """A person with the hash of the password, None for who signs in elsewhere only."""

    person: Person
    password: str | None


class People:
    """Adds, changes and finds people. Whoever calls puts it on the audit."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(
        self, person: Person, password: str | None, now: datetime, *, subject: tuple[str, str] | None = None
    ) -> Person:
        """Add a person with the hash of a password, or with (issuer, subject) of an identity provider.

        Raises `AccessError` where the login is taken or the roles and departments don't go together.
        """
        await self._check(person)
        issuer, of = subject or (None, None)
        try:
            row = await self._pool.fetchrow(
                statement("add_person"),
                person.id,
                person.login,
                person.name,
                list(person.roles),
                list(person.departments),
                password,
                person.must_change,
                issuer,
                of,
                now,
            )
        except asyncpg.UniqueViolationError:
            raise conflict(f"login {person.login}: is taken; logins differ in more than capitals") from None
        assert row is not None  # noqa: S101 - the statement returns what it adds
        return _person(row)

    async def departments(self) -> list[tuple[str, str, str]]:
        """List the departments of the directory in force with their titles, English and Chinese; none before one is."""
        document = await self._pool.fetchval(statement("directory_in_force"))
        known = json.loads(document)["departments"] if document else []
        return [(each["id"], each["title"]["en"], each["title"]["zh"]) for each in known]

    async def list(self, *, after: str | None = None, at_most: int = 100) -> list[Person]:
        """List people by login, from behind one of them."""
        return [_person(row) for row in await self._pool.fetch(statement("list_people"), after, at_most)]

    async def get(self, id_: UUID) -> Person:
        """Give one person; raises `AccessError` for one that isn't there."""
        row = await self._pool.fetchrow(statement("get_person"), id_)
        if row is None:
            raise unknown("person", id_)
        return _person(row)

    async def by_login(self, login: str) -> Credentials | None:
        """Find who has a login, whatever its capitals."""
        return _credentials(await self._pool.fetchrow(statement("person_by_login"), login))

    async def by_subject(self, issuer: str, subject: str) -> Credentials | None:
        """Find who is known to an identity provider by that name."""
        return _credentials(await self._pool.fetchrow(statement("person_by_subject"), issuer, subject))

    async def by_id(self, id_: UUID) -> Credentials | None:
        """Find a person with the password's hash."""
        return _credentials(await self._pool.fetchrow(statement("person_by_id"), id_))

    async def change(
        self,
        id_: UUID,
        now: datetime,
        *,
        name: str | None = None,
        roles: Collection[str] | None = None,
        departments: Collection[str] | None = None,
        disabled: bool | None = None,
    ) -> tuple[Person, Person]:
        """Change what is given and return the person before and after; who is disabled is signed out at once.

        Raises `AccessError`, also where nobody would be left to administer.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK)
            row = await connection.fetchrow(statement("get_person"), id_)
            if row is None:
                raise unknown("person", id_)
            before = _person(row)
            wanted = replace(
                before,
                name=before.name if name is None else name,
                roles=before.roles if roles is None else tuple(sorted(set(roles))),
                departments=before.departments if departments is None else tuple(sorted(set(departments))),
                disabled_at=before.disabled_at
                if disabled is None
                else (before.disabled_at or now if disabled else None),
            )
            await self._check(wanted)
            if _administers(before) and not _administers(wanted):
                await _others_administer(connection, id_)
            changed = await connection.fetchrow(
                statement("change_person"),
                id_,
                wanted.name,
                list(wanted.roles),
                list(wanted.departments),
                wanted.disabled_at,
            )
            assert changed is not None  # noqa: S101 - it is locked, and was there
            return before, _person(changed)

    async def set_password(self, id_: UUID, hashed: str, *, must_change: bool) -> None:
        """Set a password and end every session of its person; raises `AccessError` for one that isn't there."""
        if not await self._pool.fetchval(statement("set_password"), id_, hashed, must_change):
            raise unknown("person", id_)

    async def refresh_hash(self, id_: UUID, old: str, new: str) -> None:
        """Replace a hash by one of the same password, unless another has been set meanwhile."""
        await self._pool.execute("UPDATE people SET password = $3 WHERE id = $1 AND password = $2", id_, old, new)

    async def _check(self, person: Person) -> None:
        for what, text in (("login", person.login), ("name", person.name)):
            if not text.strip() or len(text) > LONGEST or not text.isprintable() or text != text.strip():
                raise invalid(f"{what}: must have 1 to {LONGEST} printable characters, and no space at its ends")
        strange = sorted(set(person.roles) - {role.value for role in Role})
        if strange or not person.roles:
            words = ", ".join(role.value for role in Role)
            raise invalid(f"roles: {', '.join(strange) or 'there are none'}; take some of {words}")
        if (Role.DEPARTMENT.value in person.roles) != bool(person.departments):
            raise invalid("departments: go with the role department, and it with them")
        known = {id_ for id_, _, _ in await self.departments()} if person.departments else set()
        missing = sorted(set(person.departments) - known)
        if missing and known:
            raise invalid(f"departments: {', '.join(missing)}: the directory in force has none of that name")


def new_person(
    login: str, name: str, roles: Collection[str], departments: Collection[str] = (), *, must_change: bool = False
) -> Person:
    """Make a person that isn't on record yet."""
    return Person(uuid7(), login, name, tuple(sorted(set(roles))), tuple(sorted(set(departments))), must_change)


def _administers(person: Person) -> bool:
    return Role.ADMINISTRATOR.value in person.roles and person.disabled_at is None


async def _others_administer(connection: Connection, id_: UUID) -> None:
    if not await connection.fetchval(statement("other_administrators"), id_):
        raise conflict("this is the last administrator; make somebody else one first")


def _person(row: asyncpg.Record) -> Person:
    return Person(
        id=row["id"],
        login=row["login"],
        name=row["name"],
        roles=tuple(row["roles"]),
        departments=tuple(row["departments"]),
        must_change=row["must_change"],
        external=row["external"],
        created_at=row["created_at"],
        disabled_at=row["disabled_at"],
    )


def _credentials(row: asyncpg.Record | None) -> Credentials | None:
    return None if row is None else Credentials(_person(row), row["password"])
