"""``muster user``: the people who may sign in."""

from typing import Annotated, Any

import typer

from schemas.vocabulary import Role
from services.cli.administering import administering
from services.cli.output import JsonFlag, console, fail, print_json, print_table, run
from services.platform.access.access import Access
from services.platform.access.people import Person

app = typer.Typer(no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="What the person types to sign in.")]
Roles = Annotated[list[Role], typer.Option("--role", help="May be given more than once.")]
Departments = Annotated[
    list[str] | None, typer.Option("--department", help="For the role department; may be given more than once.")
]
_PAGE = 500


@app.command()
@run
async def add(
    login: Login,
    role: Roles,
    name: Annotated[
        str | None, typer.Option(help="Stands in the record of what was done; the login by default.")
    ] = None,
    department: Departments = None,
    as_json: JsonFlag = False,
) -> None:
    """Add a person, with a one-time password that is shown once and must be changed at the first sign-in."""
    async with administering() as (_, administration):
        person, password = await administration.add(login, name or login, role, department or [])
    _tell_password(person, password, as_json=as_json)


@app.command(name="list")
@run
async def list_all(as_json: JsonFlag = False) -> None:
    """List people by login, those who were disabled too."""
    found: list[Person] = []
    async with administering() as (access, _):
        while page := await access.people.list(after=found[-1].login.lower() if found else None, at_most=_PAGE):
            found += page
    if as_json:
        print_json(found)
        return
    rows = [
        (
            person.login,
            person.name,
            ", ".join(person.roles),
            ", ".join(person.departments) or None,
            "identity provider" if person.external else "one-time password" if person.must_change else "password",
            person.disabled_at and f"{person.disabled_at:%Y-%m-%d %H:%M}Z",
        )
        for person in found
    ]
    print_table("People", ("login", "name", "roles", "departments", "signs in with", "disabled"), rows)


@app.command()
@run
async def roles(login: Login, role: Roles, department: Departments = None, as_json: JsonFlag = False) -> None:
    """Give a person these roles and departments instead of the ones held; it counts from the next request on."""
    await _change(login, as_json=as_json, roles=role, departments=department or [])


@app.command()
@run
async def disable(
    login: Login,
    undo: Annotated[bool, typer.Option("--undo", help="Let the person sign in again.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Keep a person from signing in, and sign the person out everywhere at once."""
    await _change(login, as_json=as_json, disabled=not undo)


@app.command()
@run
async def password(login: Login, as_json: JsonFlag = False) -> None:
    """Give a person a new one-time password, shown once; the person's sessions end."""
    async with administering() as (access, administration):
        person = await _known(access, login)
        fresh = await administration.reset(person.id)
    _tell_password(person, fresh, as_json=as_json)


async def _change(login: str, *, as_json: bool, **wanted: Any) -> None:
    async with administering() as (access, administration):
        person = await administration.change((await _known(access, login)).id, **wanted)
    if as_json:
        print_json(person)
        return
    held = ", ".join([*person.roles, *person.departments])
    console.print(f"{person.login}: {held}{'; disabled' if person.disabled_at else ''}", markup=False)


async def _known(access: Access, login: str) -> Person:
    found = await access.people.by_login(login)
    if found is None:
        fail(f"user {login}: there is none; see `muster user list`")
    return found.person


def _tell_password(person: Person, password: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": person.id, "login": person.login, "one_time_password": password})
    else:
        console.print(f"{person.login}: one-time password {password} (shown this once)", markup=False)
