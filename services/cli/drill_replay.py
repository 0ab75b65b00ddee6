"""``muster drill replay``: a past incident played again, also under another plan, and what that would have changed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from services.cli.output import JsonFlag, console, fail, print_json, print_table, run
from services.cli.own_servers import start_servers
from services.cli.servers import DATA, running
from services.domain.decision import Answered, Commanded
from services.domain.plan import Plan
from services.drills.counterfactual import Changed, Differences, Followed, Given, InForce, under
from services.drills.recorded import Recorded, read_recorded
from services.drills.replay import Played, Replay, disagreements, replay
from services.drills.words import ENTRIES
from services.platform.migrations import migrate
from services.platform.postgres import Pool, connect
from services.platform.settings import Settings
from services.playbooks.check import check
from services.playbooks.plans import load_plan
from services.playbooks.problem import Gravity, PlaybookError

Database = Annotated[str | None, typer.Option(help="A database's address; by default the running Muster's.")]
DataDir = Annotated[Path, typer.Option(help="Where the embedded database of drills is, when nothing runs.")]


@run
async def replay_command(
    incident: Annotated[UUID, typer.Argument(metavar="INCIDENT", help="A past incident's id, real or exercise.")],
    plan: Annotated[Path | None, typer.Option(help="Another wording of a plan: what would it have changed?")] = None,
    database: Database = None,
    data_dir: DataDir = DATA / "drill",
    as_json: JsonFlag = False,
) -> None:
    """Play a past incident again as an exercise, without any effect, and say what another plan would have changed."""
    other = _load(plan) if plan is not None else None
    async with record(database, data_dir) as pool:
        recorded = await read_recorded(pool, incident)
    again = replay(recorded)
    wrong = disagreements(recorded, again, recorded.tolerance)
    differences = under(recorded, other) if other is not None else None
    if as_json:
        print_json(document(recorded, again, wrong, other, differences))
        return
    _print_replay(recorded, again, wrong)
    if other is not None and differences is not None:
        _print_differences(other, differences, recorded)


@asynccontextmanager
async def record(database: str | None, data_dir: Path) -> AsyncIterator[Pool]:
    """Open the record to read: the one named, else that of the Muster that runs here, else the drills' own."""
    named = database or (None if "database" in Settings().model_fields_set else running().get("database"))
    async with AsyncExitStack() as stack:
        # No broker is needed to read; any address keeps one from being started.
        configured = await start_servers(stack, kafka="-", database=named, data_dir=data_dir)
        pool = await connect(configured.postgres(), size=2)
        stack.push_async_callback(pool.close)
        if named is None:
            await migrate(pool)
        yield pool


def _load(path: Path) -> Plan:
    beside = any((folder / "departments.yaml").is_file() for folder in path.resolve().parents[:2])
    # A file that lies elsewhere is read as it stands: there is no directory to hold its departments against.
    errors = [each for each in check([path]) if each.severity is Gravity.ERROR] if beside else []
    try:
        if not errors:
            return load_plan(path)
    except PlaybookError as error:
        errors = list(error.problems)
    more = f" (and {len(errors) - 1} more; see `muster plan check {path}`)" if len(errors) > 1 else ""
    return fail(f"{errors[0]}{more}")


def document(
    recorded: Recorded, again: Replay, wrong: list[str], other: Plan | None, differences: Differences | None
) -> dict[str, Any]:
    """Give a replay as the JSON document that ``--json`` prints; times are seconds from the first report on."""
    shown: dict[str, Any] = {
        "incident": recorded.incident.id,
        "status_then": recorded.incident.status,
        "replayed_as": again.incident.id,
        "status": again.incident.status,
        "inputs": len(recorded.inputs),
        "orders": len(again.orders),
        "unlike_the_record": wrong,
        "not_on_record": [_said(played) for played in again.played if played.input.said is None],
    }
    if other is None or differences is None:
        return shown
    found = asdict(differences)
    for name in ("not_applicable", "turned_down", "taken_now"):
        found[name] = [_said(played) for played in getattr(differences, name)]
    wording = {"id": other.id, "version": other.version, "digest": other.digest}
    return {**shown, "plan": wording, "differs": bool(differences), "differences": _seconds(found)}


def _seconds(value: Any) -> Any:
    if isinstance(value, timedelta):
        return round(value.total_seconds(), 3)
    if isinstance(value, dict):
        return {name: _seconds(each) for name, each in value.items()}
    return [_seconds(each) for each in value] if isinstance(value, list | tuple) else value


def _said(played: Played) -> dict[str, Any]:
    said = played.input.said
    action = by = None
    if isinstance(said, Answered):
        action, by = said.acknowledgement.answer.value, said.acknowledgement.department
    elif isinstance(said, Commanded):
        action, by = said.command.action, said.command.by
    about = played.about
    return {
        "event": played.input.event_id,
        "type": played.input.type,
        "said": action or "report",
        "by": by,
        "plan": about.plan if about else None,
        "task": about.task if about else None,
        "decided_at": played.input.decided_at,
        "why": played.reason,
    }


def at(span: timedelta | None) -> str | None:
    """Write a time after the first report: ``T+0:04:30``."""
    if span is None:
        return None
    seconds = round(span.total_seconds())
    return f"T+{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _print_replay(recorded: Recorded, again: Replay, wrong: list[str]) -> None:
    then, report = recorded.incident, recorded.incident.report
    console.print(f"[bold]{report.event or 'no event named'}[/] · was {then.status} · {then.id}")
    console.print(
        f"Played again as {again.incident.status} {again.incident.id}: {len(recorded.inputs)} inputs,"
        f" {len(again.orders)} orders. Nothing was sent and nothing was written."
    )
    if not wrong:
        console.print("It goes as it went: the same orders, deadlines and ends.")
        return
    console.print("The replay differs from the record; what is said below about another plan stands on the replay:")
    for line in wrong:
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _print_differences(other: Plan, found: Differences, recorded: Recorded) -> None:
    console.print(f"\n[bold]Under {other.id} version {other.version}[/]")
    if not found:
        took_part = any(each.plan == other.id for each in recorded.incident.activations.values())
        why = "" if took_part else " The plan takes no part in it."
        console.print(f"Nothing would have been different.{why}")
        return
    for before, after in found.plans:
        console.print(_plan_line(before, after), markup=False, soft_wrap=True)
    orders: list[tuple[str | None, ...]] = [("gone", *_order(given)) for given in found.gone]
    orders += [("added", *_order(given)) for given in found.added]
    orders += [("changed", *_order_change(change)) for change in found.changed]
    if orders:
        columns = ("order", "department", "task", "issued", "answer by", "start by", "done by", "note")
        print_table("Orders (from the first report on)", columns, orders)
    followed: list[tuple[str | None, ...]] = [("gone", *_step(each, at(each.at))) for each in found.followed_gone]
    followed += [("added", *_step(each, at(each.at))) for each in found.followed_added]
    followed += [("moved", *_step(b, f"{at(a.at)} -> {at(b.at)}")) for a, b in found.followed_moved]
    if followed:
        heads = ("", "what", "step", "department", "task", "when", "note")
        print_table("Missed deadlines and escalations", heads, followed)
    _print_inputs("Not applicable: said about orders that would not have been given", found.not_applicable)
    _print_inputs("Would have been turned down", found.turned_down)
    _print_inputs("Would have been taken, and was turned down then", found.taken_now)


def _plan_line(before: InForce | None, after: InForce | None) -> str:
    if after is None:
        return f"{before.plan if before else ''}: would not have been put into force"
    said = f"{after.plan} version {after.version}: {_levels(after)}"
    return (
        f"{said}, and was not then" if before is None else f"{said}; it was version {before.version}: {_levels(before)}"
    )


def _levels(plan: InForce) -> str:
    steps = ", ".join(f"level {level} at {at(when)}" for level, when in plan.levels)
    return steps or f"{plan.state}, not activated"


def _order(given: Given) -> tuple[str | None, ...]:
    times = (given.issued, given.acknowledge_by, given.start_by, given.complete_by)
    return (given.department, given.task, *(at(each) for each in times), _note(given))


def _note(given: Given) -> str | None:
    if given.waits_for:
        return f"comes after {', '.join(given.waits_for)}, for which no answer is on record"
    if given.silent:
        return f"called as no answer of {', '.join(given.silent)} is on record"
    return "nobody was asked then: no answer on record" if given.unheard else None


def _order_change(change: Changed) -> tuple[str | None, ...]:
    before, after = change.before, change.after
    cells: list[str | None] = []
    for name in ("department", "issued", "acknowledge_by", "start_by", "complete_by"):
        a, b = getattr(before, name), getattr(after, name)
        if name != "department":
            a, b = at(a), at(b)
        cells.append(f"{a or '–'} -> {b or '–'}" if name in change.fields else b)
    ends = f"ends {after.state}, it was {before.state}" if "state" in change.fields else None
    return (cells[0], after.task, *cells[1:], _note(after) or ends)


def _step(each: Followed, when: str | None) -> tuple[str | None, ...]:
    note = "only as no answer is on record" if each.unheard else None
    return (ENTRIES[each.kind].en, each.step, each.department, each.task, when, note)


def _print_inputs(title: str, inputs: tuple[Played, ...]) -> None:
    if not inputs:
        return
    rows = [
        (said["by"], said["said"], said["task"], f"{said['decided_at']:%F %T} UTC", said["why"])
        for said in map(_said, inputs)
    ]
    print_table(title, ("who", "said", "task", "then", "why"), rows)
