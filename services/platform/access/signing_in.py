"""Signing in and out, and changing a password: what a person does at the door."""

from dataclasses import dataclass
from http import HTTPStatus
from math import ceil

from fastapi import Request

from schemas.vocabulary import Role
from services.platform.access.access import Access, address_of
from services.platform.access.asking import unauthorized
from services.platform.access.cookies import check_way, read_cookie
from services.platform.access.errors import as_problems, invalid
from services.platform.access.oidc_token import Identity
from services.platform.access.origin import check_origin
from services.platform.access.passwords import check_password
from services.platform.access.people import Credentials, Person, new_person
from services.platform.access.principal import Principal
from services.platform.problem import ProblemError


@dataclass(frozen=True, slots=True)
class Entered:
    """Who has come in, and the token that the browser must be given."""

    caller: Principal
    token: str


class SigningIn:
    """The door."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def with_password(self, login: str, password: str, request: Request) -> Entered:
        """Sign in; raises `ProblemError`: 401 for a wrong login or password, 429 while attempts must wait."""
        access = self._access
        public_url = access.settings.public_url
        check_way(request, public_url)
        check_origin(request, public_url)
        known = await access.people.by_login(login)
        if not await self._verify(login, known, password, request):
            await access.note(
                None,
                "session.begin",
                # A login that nobody has may be a password that slipped into the wrong field.
                known.person.login if known else None,
                outcome="disabled" if known and known.person.disabled_at else "wrong-password",
                request=request,
            )
            raise unauthorized("the login or the password is wrong", "wrong-password")
        assert known is not None  # noqa: S101 - nobody's password is never right
        if known.password is not None and access.passwords.is_dated(known.password):
            fresh = await access.passwords.hash(password)
            await access.people.refresh_hash(known.person.id, known.password, fresh)
        return await self._enter(known.person, request, how="password")

    async def with_identity(self, identity: Identity, request: Request) -> Entered:
        """Sign in who comes from the identity provider, with the roles it gives; raises `ProblemError`."""
        access = self._access
        known = await access.people.by_subject(identity.issuer, identity.subject)
        if known is not None and known.person.disabled_at is not None:
            await access.note(None, "session.begin", known.person.login, outcome="disabled", request=request)
            raise ProblemError(HTTPStatus.FORBIDDEN, "this person was disabled in Muster", kind="not-allowed")
        known_departments = {id_ for id_, _, _ in await access.people.departments()}
        departments = [id_ for id_ in identity.departments if id_ in known_departments]
        roles = [role for role in identity.roles if departments or role != Role.DEPARTMENT]
        if not roles:
            await access.note(None, "session.begin", identity.login, outcome="no-role", request=request)
            detail = "the identity provider gives this person no role in Muster; ask whoever looks after it"
            raise ProblemError(HTTPStatus.FORBIDDEN, detail, kind="not-allowed")
        with as_problems():
            person = await self._take_in(known, identity, roles, departments if Role.DEPARTMENT in roles else [])
        return await self._enter(person, request, how="oidc")

    async def change_password(self, caller: Principal, current: str, new: str, request: Request) -> Entered:
        """Change one's own password: every session of the person ends, and this browser gets another."""
        access = self._access
        known = None if caller.session is None else await access.people.by_id(caller.id)
        if known is None or known.password is None:
            detail = "only a person who signs in with a password has one to change"
            raise ProblemError(HTTPStatus.FORBIDDEN, detail, kind="not-allowed")
        login = known.person.login
        if not await self._verify(login, known, current, request):
            await access.note(caller, "person.password", login, outcome="wrong-password", request=request)
            raise ProblemError(HTTPStatus.FORBIDDEN, "the current password is wrong", kind="wrong-password")
        with as_problems():
            check_password(new, login)
            if current == new:
                raise invalid("password: is the one you have; take another")
            await access.people.set_password(caller.id, await access.passwords.hash(new), must_change=False)
        await access.note(caller, "person.password", login, request=request)
        return await self._enter(known.person, request, how="password change")

    async def sign_out(self, caller: Principal, request: Request) -> None:
        """End the browser's session."""
        if caller.session is not None:
            await self._access.sessions.end(caller.session)
            await self._access.note(caller, "session.end", request=request)

    async def _verify(self, login: str, known: Credentials | None, password: str, request: Request) -> bool:
        access = self._access
        address = address_of(request)
        wait = await access.lockout.begin(login, address, access.now())
        if wait is not None:
            seconds = ceil(wait.total_seconds())
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"too many attempts with this login or from this address have failed; the next is taken in {seconds} s",
                kind="locked-out",
                headers={"Retry-After": str(seconds)},
            )
        usable = known is not None and known.person.disabled_at is None
        hashed = known.password if known is not None and usable else None
        if not await access.passwords.verify(hashed, password):
            return False
        await access.lockout.succeeded(login, address)
        return True

    async def _take_in(
        self, known: Credentials | None, identity: Identity, roles: list[Role], departments: list[str]
    ) -> Person:
        people, now = self._access.people, self._access.now()
        if known is not None:
            _, person = await people.change(
                known.person.id, now, name=identity.name, roles=roles, departments=departments
            )
            return person
        login = identity.login
        if await people.by_login(login) is not None:
            # Never the other person's account: what a provider calls somebody proves nothing here.
            login = f"{login[:60]} {identity.subject[:39]}"
        person = new_person(login, identity.name, roles, departments)
        return await people.add(person, None, now, subject=(identity.issuer, identity.subject))

    async def _enter(self, person: Person, request: Request, *, how: str) -> Entered:
        access = self._access
        before = read_cookie(request)
        if before is not None:
            await access.sessions.end_token(before)
        token = await access.sessions.begin(person.id, address_of(request), access.now())
        found = await access.sessions.find(token, access.now(), may_rotate=False)
        if found is None:
            raise unauthorized("this person may not sign in any more", "not-signed-in")
        await access.note(found.caller, "session.begin", person.login, request=request, how=how)
        return Entered(found.caller, token)
