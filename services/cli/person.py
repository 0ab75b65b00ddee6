"""``muster person``: what is on record about people, told to whoever asks and erased for good."""

from typing import Annotated
from uuid import UUID

import typer

from services.cli.operator import note
from services.cli.output import JsonFlag, console, print_json, print_table, run
from services.cli.servers import settings
from services.platform.personal import erase_personal, find_personal
from services.platform.postgres import connect

app = typer.Typer(no_args_is_help=True)

Incident = Annotated[UUID | None, typer.Option(help="All personal data of one incident.")]
Says = Annotated[str | None, typer.Option(help="What holds this name, phone number or other text, in any case.")]


def _of(incident: UUID | None) -> str | None:
    return None if incident is None else str(incident)


@app.command()
@run
async def export(incident: Incident = None, says: Says = None, as_json: JsonFlag = False) -> None:
    """Tell all personal data of an incident, or all that says something."""
    pool = await connect(settings().postgres(), size=1)
    try:
        found = await find_personal(pool, incident=incident, says=says)
        await note(pool, "person.export", _of(incident), values=len(found))
    finally:
        await pool.close()
    if as_json:
        print_json(found)
        return
    rows = [(each.table, each.field, each.incident_id, each.value) for each in found]
    print_table("On record", ("table", "field", "incident", "value"), rows)


@app.command()
@run
async def erase(
    reason: Annotated[str, typer.Option(help="Why; goes on the audit, so name nobody here.")],
    incident: Incident = None,
    says: Says = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only counted.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Erase it. The chains of the timelines hold on; what was erased can't be brought back."""
    pool = await connect(settings().postgres(), size=2)
    try:
        if yes:
            done = await erase_personal(pool, incident=incident, says=says)
            await note(pool, "person.erase", _of(incident), reason=reason, rows=done)
        else:
            found = await find_personal(pool, incident=incident, says=says)
            done = {table: len({f.id for f in found if f.table == table}) for table in sorted({f.table for f in found})}
    finally:
        await pool.close()
    if as_json:
        print_json({"done": yes, "rows": done})
        return
    print_table("Rows", ("table", "rows"), done.items())
    console.print("Erased." if yes else "Nothing was erased; --yes does it.")
