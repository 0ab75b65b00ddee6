"""``muster roles``: who may do what in Postgres."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from schemas.vocabulary import Namespace
from services.cli.output import JsonFlag, console, fail, print_json, print_table, run
from services.cli.servers import settings
from services.platform.migrations import migrate
from services.platform.postgres import connect
from services.platform.rights import TABLES, roles
from services.platform.roles import Found, look, made, read_passwords, set_passwords


@run
async def list_roles(
    namespace: Annotated[Namespace | None, typer.Option(help="One world only; both by default.")] = None,
    as_sql: Annotated[bool, typer.Option("--sql", help="The statements that make the roles.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Bring tables, roles and rights up to date.")] = False,
    passwords: Annotated[
        Path | None,
        typer.Option(help="With --apply: let roles log in with these; a folder with a file of each role's name."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """List who may do what in Postgres; all else is denied. `muster migrate` applies it.

    Where the tables' owner may make no roles, an administrator of the server runs first what --sql prints.
    """
    if passwords is not None and not apply:
        fail("--passwords: goes with --apply", 2)
    wanted = [role for role in roles() if namespace in {None, role.namespace}]
    if apply:
        given = {} if passwords is None else read_passwords(passwords)
        pool = await connect(settings().postgres(), size=2)
        try:
            await migrate(pool)
            async with pool.acquire() as connection, connection.transaction():
                there = await look(connection)
                await set_passwords(connection, given)
        finally:
            await pool.close()
        if as_json:
            print_json({"roles": sorted(there.logins), "passwords": sorted(given)})
        else:
            console.print(f"{len(there.logins)} roles are there; {len(given)} passwords were set.")
        return
    rows = [
        (role.name, table.name, sorted(verb.value for verb in verbs))
        for role in wanted
        for table in TABLES
        if (verbs := role.may(table))
    ]
    if as_sql:
        for statement in made(Found(urlsplit(settings().postgres()).username or "muster")):
            console.print(f"{statement};", markup=False, highlight=False, soft_wrap=True)
    elif as_json:
        print_json({"rights": [dict(zip(("role", "table", "may"), row, strict=True)) for row in rows]})
    else:
        shown = [(role, table, ", ".join(verbs)) for role, table, verbs in rows]
        print_table("Who may do what in Postgres", ("role", "with", "may"), shown)
