"""People over HTTP: who may sign in, and as what."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response

from schemas.base import Id
from schemas.vocabulary import Role
from services.platform.access.access import Access
from services.platform.access.administration import Administration
from services.platform.access.errors import as_problems
from services.platform.access.guard import allow
from services.platform.access.principal import Principal
from services.platform.access.views import (
    OneTimePassword,
    PersonChange,
    PersonIn,
    PersonPage,
    PersonView,
    PersonWithPassword,
)
from services.platform.cursor import read_cursor, write_cursor
from services.platform.etag import with_etag
from services.platform.problem import documented

_S = HTTPStatus
_GUARDED = (_S.UNAUTHORIZED, _S.FORBIDDEN, _S.UNPROCESSABLE_ENTITY)
Administrator = Annotated[Principal, allow(Role.ADMINISTRATOR)]
READER = allow(Role.ADMINISTRATOR, Role.AUDITOR)


def add_people(app: FastAPI, access: Access) -> None:
    """Add the routes."""
    people = access.people

    def by(caller: Principal, request: Request) -> Administration:
        return Administration(access, partial(access.note, caller, request=request))

    @app.get("/v1/people", operation_id="list_people", responses=documented(*_GUARDED), tags=["access"],
             dependencies=[READER])  # fmt: skip
    async def list_people(
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str | None, Query(max_length=1_000)] = None,
    ) -> PersonPage:
        """List people by login, those who were disabled too."""
        after = read_cursor(cursor, 1)[0] if cursor else None
        found = await people.list(after=after, at_most=limit + 1)
        more = write_cursor(found[limit - 1].login.lower()) if len(found) > limit else None
        return PersonPage(items=[PersonView.of(person) for person in found[:limit]], next=more)

    @app.post("/v1/people", operation_id="add_person", status_code=201, tags=["access"],
              responses=documented(*_GUARDED, _S.CONFLICT))  # fmt: skip
    async def add_person(
        request: Request, caller: Administrator, given: PersonIn, response: Response
    ) -> PersonWithPassword:
        """Add a person. The one-time password is told this once; it must be changed at the first sign-in.

        A repeat finds the login taken and is refused.
        """
        with as_problems():
            person, password = await by(caller, request).add(given.login, given.name, given.roles, given.departments)
        response.headers["Location"] = f"/v1/people/{person.id}"
        return PersonWithPassword(**PersonView.of(person).model_dump(), one_time_password=password)

    @app.get("/v1/people/{person_id}", operation_id="show_person", response_model=PersonView, tags=["access"],
             dependencies=[READER], responses=documented(*_GUARDED, _S.NOT_FOUND))  # fmt: skip
    async def show_person(request: Request, person_id: Id) -> Response:
        """Show one person."""
        with as_problems():
            return with_etag(request, PersonView.of(await people.get(person_id)))

    @app.patch("/v1/people/{person_id}", operation_id="change_person", tags=["access"],
               responses=documented(*_GUARDED, _S.NOT_FOUND, _S.CONFLICT))  # fmt: skip
    async def change_person(request: Request, caller: Administrator, person_id: Id, given: PersonChange) -> PersonView:
        """Change a person's name, roles or departments, or disable the person, who is then signed out at once."""
        with as_problems():
            return PersonView.of(await by(caller, request).change(person_id, **given.model_dump(exclude_none=True)))

    @app.post("/v1/people/{person_id}/password", operation_id="reset_password", tags=["access"],
              responses=documented(*_GUARDED, _S.NOT_FOUND, _S.CONFLICT))  # fmt: skip
    async def reset_password(request: Request, caller: Administrator, person_id: Id) -> OneTimePassword:
        """Give a person a new one-time password, told this once, and end that person's sessions."""
        with as_problems():
            return OneTimePassword(one_time_password=await by(caller, request).reset(person_id))
