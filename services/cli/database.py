"""``muster migrate`` and ``doctor``: the ground everything stands on."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.output import JsonFlag, console, print_json, print_table, run
from services.cli.servers import settings
from services.platform.invariants import check_invariants
from services.platform.migrations import migrate as apply
from services.platform.postgres import connect
from services.platform.published import published_departments
from services.platform.witness import check_witnessed


@run
async def migrate(as_json: JsonFlag = False) -> None:
    """Bring the database's tables up to this version; harmless to repeat."""
    pool = await connect(settings().postgres(), size=2)
    try:
        applied = await apply(pool)
    finally:
        await pool.close()
    if as_json:
        print_json({"applied": applied})
    else:
        console.print("\n".join(applied) or "The database is up to date.")


@run
async def doctor(
    invariants: Annotated[
        bool, typer.Option("--invariants", help="Prove over the record that nothing was lost.")
    ] = False,
    kept: Annotated[
        Path | None,
        typer.Option("--kept", help="Hold the record against timeline messages that others kept, one a line."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Look after the record; exits with 1 when something is amiss."""
    pool = await connect(settings().postgres(), size=2)
    try:
        departments = len(await published_departments(pool))
        findings = await check_invariants(pool) if invariants else []
        findings += [await check_witnessed(pool, kept)] if kept else []
        server = await pool.fetchval("SHOW server_version")
    finally:
        await pool.close()
    broken = [finding for finding in findings if finding.broken]
    if as_json:
        print_json({"postgres": server, "departments": departments, "invariants": findings})
    else:
        console.print(f"PostgreSQL {server}; a directory of {departments} departments is published.")
        if findings:
            rows = [(f.name, f.looked_at, f.broken, ", ".join(f.examples) or None) for f in findings]
            print_table("Invariants", ("what must hold", "looked at", "broken", "for example"), rows)
            console.print("Every invariant holds." if not broken else f"{len(broken)} invariants are broken.")
    if broken:
        raise typer.Exit(1)
