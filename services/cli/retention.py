"""``muster retention``: how long the record is kept, what is held beyond that, and giving up what is over its term."""

from typing import Annotated
from uuid import UUID

import typer

from schemas.vocabulary import Status
from services.cli.operator import note, operator
from services.cli.output import JsonFlag, console, fail, print_json, print_table, run
from services.cli.servers import settings
from services.platform import retention
from services.platform.postgres import connect

app = typer.Typer(no_args_is_help=True)

Incident = Annotated[UUID, typer.Argument(metavar="INCIDENT")]
Reason = Annotated[str, typer.Option(help="Why; goes on record.")]


@app.command(name="list")
@run
async def list_all(as_json: JsonFlag = False) -> None:
    """List the terms that are set and the incidents that are held."""
    pool = await connect(settings().postgres(), size=1)
    try:
        terms, held = await retention.terms(pool), await retention.holds(pool)
    finally:
        await pool.close()
    if as_json:
        print_json({"terms": terms, "holds": held})
        return
    known = {term.status: term for term in terms}
    rows = [
        (
            status,
            f"{known[status].days} days" if status in known else "for ever",
            known[status].by if status in known else None,
        )
        for status in (Status.ACTUAL, Status.EXERCISE, Status.TEST)
    ]
    print_table("Kept", ("status", "after the last entry", "set by"), rows)
    print_table(
        "Held", ("incident", "reason", "by", "since"), [(h.incident_id, h.reason, h.by, h.held_at) for h in held]
    )


@app.command(name="set")
@run
async def set_term(
    status: Annotated[Status, typer.Argument(help="Actual, Exercise or Test.")],
    days: Annotated[str, typer.Argument(help="Days after the last entry, or forever.")],
    as_json: JsonFlag = False,
) -> None:
    """Set for how long incidents of a status are kept."""
    if days != "forever" and not days.isdecimal():
        fail(f"DAYS {days}: write a number of days, or forever", 2)
    pool = await connect(settings().postgres(), size=1)
    try:
        term = None if days == "forever" else int(days)
        await retention.set_term(pool, status, term, by=operator())
        await note(pool, "retention.set", status.value, days=days)
    finally:
        await pool.close()
    if as_json:
        print_json({"status": status, "days": term})
    else:
        console.print(f"{status}: kept {'for ever' if term is None else f'{term} days after the last entry'}.")


@app.command()
@run
async def hold(incident: Incident, reason: Reason, as_json: JsonFlag = False) -> None:
    """Keep an incident, and what joined it, whatever its term."""
    pool = await connect(settings().postgres(), size=1)
    try:
        await retention.hold(pool, incident, reason=reason, by=operator())
        await note(pool, "retention.hold", str(incident), reason=reason)
    finally:
        await pool.close()
    print_json({"incident": incident, "held": True}) if as_json else console.print(f"{incident}: held.")


@app.command()
@run
async def release(incident: Incident, reason: Reason, as_json: JsonFlag = False) -> None:
    """End a hold: the incident's term counts again."""
    pool = await connect(settings().postgres(), size=1)
    try:
        await retention.release(pool, incident, reason=reason, by=operator())
        await note(pool, "retention.release", str(incident), reason=reason)
    finally:
        await pool.close()
    print_json({"incident": incident, "held": False}) if as_json else console.print(f"{incident}: released.")


@app.command()
@run
async def apply(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this it is only said what would be done.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Give up what is over its term: whole months, but for what must be kept in them."""
    pool = await connect(settings().postgres(), size=1)
    try:
        applied = await retention.apply_terms(pool, really=yes)
        if yes:
            done = {plan.name: plan.action for plan in applied.partitions if plan.expired}
            await note(pool, "retention.apply", None, incidents=len(applied.incidents), partitions=done)
    finally:
        await pool.close()
    if as_json:
        plans = [{"name": p.name, "expired": p.expired, "kept": p.kept, "action": p.action} for p in applied.partitions]
        print_json({"done": yes, "incidents": applied.incidents, "partitions": plans})
        return
    rows = [(p.name, p.expired, p.kept, p.action) for p in applied.partitions]
    print_table("Partitions", ("partition", "rows over their term", "rows kept", "what happens"), rows)
    verb = "were given up" if yes else "would be given up; --yes does it"
    console.print(f"{len(applied.incidents)} incidents {verb}.")
