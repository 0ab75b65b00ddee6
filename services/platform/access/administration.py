"""What administrators do to people and tokens, whether over HTTP or at the command line; all of it on the audit."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.vocabulary import Namespace
from services.platform.access.access import Access
from services.platform.access.errors import conflict
from services.platform.access.passwords import one_time_password
from services.platform.access.people import Person, new_person
from services.platform.access.tokens import Token

Note = Callable[..., Awaitable[None]]
"""Puts (action, target, detail as keywords) on the audit, under the name of who acts."""


class Administration:
    """One administrator's acts; each raises `AccessError` where it can't be done."""

    def __init__(self, access: Access, note: Note) -> None:
        self._access = access
        self._note = note

    async def add(
        self, login: str, name: str, roles: Collection[str], departments: Collection[str]
    ) -> tuple[Person, str]:
        """Add a person and give the one-time password, which nobody can read again."""
        password = one_time_password()
        person = new_person(login, name, roles, departments, must_change=True)
        hashed = await self._access.passwords.hash(password)
        person = await self._access.people.add(person, hashed, self._access.now())
        await self._note("person.add", person.login, roles=person.roles, departments=person.departments)
        return person, password

    async def change(self, id_: UUID, **wanted: Any) -> Person:
        """Change a person as `People.change` does."""
        before, after = await self._access.people.change(id_, self._access.now(), **wanted)
        changes: dict[str, Any] = {
            field: [getattr(before, field), getattr(after, field)]
            for field in ("name", "roles", "departments", "disabled_at")
            if getattr(before, field) != getattr(after, field)
        }
        await self._note("person.change", after.login, **changes)
        return after

    async def reset(self, id_: UUID) -> str:
        """Give a person a new one-time password; the person's sessions end, and nobody need wait to try it."""
        password = one_time_password()
        person = await self._access.people.get(id_)
        if person.external:
            raise conflict("this person signs in with the identity provider and has no password here")
        await self._access.people.set_password(id_, await self._access.passwords.hash(password), must_change=True)
        await self._access.lockout.forgive(person.login)
        await self._note("person.password", person.login, how="reset")
        return password

    async def issue(
        self,
        name: str,
        scopes: Collection[str],
        departments: Collection[str],
        expires_at: datetime,
        *,
        by: str,
        namespaces: Collection[str] = tuple(Namespace),
        key: str | None = None,
    ) -> tuple[Token, str]:
        """Issue a token and give the text that a program sends, which nobody can read again."""
        token, text = await self._access.tokens.issue(
            name,
            scopes=scopes,
            departments=departments,
            by=by,
            now=self._access.now(),
            expires_at=expires_at,
            namespaces=namespaces,
            key=key,
        )
        facts = ("name", "scopes", "departments", "namespaces", "expires_at")
        await self._note("token.issue", str(token.id), **{fact: getattr(token, fact) for fact in facts})
        return token, text

    async def revoke(self, id_: UUID) -> Token:
        """Revoke a token at once."""
        token = await self._access.tokens.revoke(id_, self._access.now())
        await self._note("token.revoke", str(token.id), name=token.name)
        return token
