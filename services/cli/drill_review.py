"""Reviewing a drill: its report in four forms, corrections, improvement items, and its way out and in.

``register`` adds ``report``, ``correct``, ``export``, ``import`` and ``improvements`` to ``muster drill``.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic_core import to_json

from schemas.base import Text
from schemas.vocabulary import Namespace
from services.cli.output import JsonFlag, aside, console, fail, print_json, print_table, run
from services.cli.own_servers import start_servers
from services.cli.servers import DATA
from services.drills import improvements as items
from services.drills.bundle import pack, unpack
from services.drills.corrections import correct
from services.drills.export import gather, write_tables
from services.drills.html import render
from services.drills.importing import import_bundle
from services.drills.reading import read_report
from services.drills.record import DrillError, DrillRow, read_drill
from services.drills.report import Report
from services.drills.table import as_json as figures
from services.drills.table import print_report
from services.platform.migrations import migrate
from services.platform.postgres import Pool, connect

MISUSE = 2
DUE_AFTER = timedelta(days=30)
"""The time a proposed improvement item has, unless it is said."""
DRILL_DATA = DATA / "drill"

improvements_app = typer.Typer(help="What drills showed must be better, until it is closed.", no_args_is_help=True)


class Form(StrEnum):
    """What a report can be written as."""

    TERMINAL = "terminal"
    HTML = "html"
    PDF = "pdf"
    JSON = "json"


class Language(StrEnum):
    """The language a report is written in, or opens at."""

    ENGLISH = "en"
    CHINESE = "zh"


Drill = Annotated[UUID, typer.Argument(metavar="ID", help="A drill's id, from `muster drill list`.")]
Item = Annotated[UUID, typer.Argument(metavar="ITEM", help="An item's id, from `muster drill improvements list`.")]
By = Annotated[str, typer.Option(help="Who says so.")]
Reason = Annotated[str, typer.Option(help="Why; kept on record.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day by which it shall be done.")]
Database = Annotated[str | None, typer.Option(help="A database's address.")]
DataDir = Annotated[Path, typer.Option(help="Where the embedded servers keep their data.")]


def register(app: typer.Typer) -> None:
    """Add these commands to ``muster drill``."""
    app.command(name="report")(report_command)
    app.command(name="correct")(correct_command)
    app.command(name="export")(export_command)
    app.command(name="import")(import_command)
    app.add_typer(improvements_app, name="improvements")


@asynccontextmanager
async def _database(database: str | None, data_dir: Path) -> AsyncIterator[Pool]:
    async with AsyncExitStack() as stack:
        # No broker is needed to read; any address keeps one from being started.
        configured = await start_servers(stack, kafka="-", database=database, data_dir=data_dir)
        pool = await connect(configured.postgres(Namespace.EXERCISE), size=2)
        stack.push_async_callback(pool.close)
        await migrate(pool)
        yield pool


async def give(report: Report, folder: Path, *, as_json: bool, language: str = "en") -> None:
    """Print a report and leave its HTML in a folder."""
    path = folder / f"{_name(report)}.html"
    await asyncio.to_thread(_write, path, render(report, language).encode())
    if as_json:
        print_json({**figures(report), "report": str(path)})
    else:
        print_report(report, console, language)
        aside.print(f"Report: {path}   (again: muster drill report {report.drill.id})", soft_wrap=True)


def _name(report: Report) -> str:
    return f"{report.drill.document.id}-{report.drill.started_at:%Y%m%d-%H%M%S}"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@run
async def report_command(
    drill: Drill,
    form: Annotated[Form, typer.Option("--format", help="Print it, or write a file.")] = Form.TERMINAL,
    language: Annotated[Language, typer.Option("--lang", help="English or Chinese.")] = Language.ENGLISH,
    out: Annotated[Path | None, typer.Option(help="The file to write.")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="The folder that gets the HTML report.")] = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Read a drill's report back: timeline, Gantt, numbers, evaluation, improvement items."""
    async with _database(database, data_dir) as pool:
        found = await read_report(pool, drill)
    folder = report or data_dir / "reports"
    if out is None and (as_json or form in {Form.TERMINAL, Form.JSON}):
        await give(found, folder, as_json=as_json or form is Form.JSON, language=language)
        return
    if out is not None and form is Form.TERMINAL and not as_json:
        fail("--out needs --format html, pdf or json", MISUSE)
    if as_json or form is Form.JSON:
        content = to_json(figures(found), indent=2) + b"\n"
    elif form is Form.PDF:
        from services.drills import pdf  # the typesetter takes longer to import than most commands run

        content = await asyncio.to_thread(pdf.render, found, language.value)
    else:
        content = render(found, language).encode()
    path = out or folder / f"{_name(found)}-{language}.{form}"
    try:
        await asyncio.to_thread(_write, path, content)
    except OSError as error:
        raise DrillError(f"{path}: can't be written: {error.strerror}") from error
    aside.print(f"Report: {path}", soft_wrap=True)


@run
async def correct_command(
    drill: Drill,
    entry: Annotated[UUID, typer.Option(help="The timeline entry, from the report's JSON or HTML.")],
    reason: Reason,
    by: By,
    occurred_at: Annotated[str | None, typer.Option(help="When: 2026-03-01T08:04:30Z or T+0:04:30.")] = None,
    note: Annotated[str | None, typer.Option(help="A note to the entry.")] = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Correct a drill's timeline: adds what is right, with its reason; what was recorded stays."""
    async with _database(database, data_dir) as pool:
        row = await read_drill(pool, drill)
        at = None if occurred_at is None else _moment(occurred_at, row)
        said = await correct(pool, drill, entry, occurred_at=at, note=note, reason=reason, by=by)
    if as_json:
        print_json(said)
    else:
        console.print(f"Correction {said.id} added; `muster drill report {drill}` reckons with it.", soft_wrap=True)


_OFFSET = re.compile(r"T\+(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)", re.IGNORECASE)


def _moment(text: str, drill: DrillRow) -> datetime:
    """Read a time: since STARTEX as the report writes it, or an instant with its offset."""
    match = _OFFSET.fullmatch(text)
    if match is not None:
        hours, minutes, seconds = match.groups()
        return drill.started_at + timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        fail(f"--occurred-at: {text!r} is neither like T+0:04:30 nor like 2026-03-01T08:04:30Z", MISUSE)
    return at


@run
async def export_command(
    drill: Drill,
    tables: Annotated[Path | None, typer.Option("--csv", help="The folder that gets the tables.")] = None,
    archive: Annotated[Path | None, typer.Option("--zip", help="The file that another Muster can import.")] = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Write a drill's tables as CSV, or everything about it as a zip that another Muster can import."""
    if tables is None and archive is None:
        fail("give --csv FOLDER, --zip FILE, or both", MISUSE)
    told: dict[str, Any] = {"id": drill}
    async with _database(database, data_dir) as pool:
        try:
            if tables is not None:
                told["csv"] = await write_tables(pool, drill, tables)
            if archive is not None:
                bundle = await gather(pool, drill)
                await asyncio.to_thread(_write, archive, pack(bundle))
                told |= {"zip": archive, "digest": bundle.digest}
        except OSError as error:
            raise DrillError(f"{error.filename}: can't be written: {error.strerror}") from error
    if as_json:
        print_json(told)
        return
    if tables is not None:
        console.print(f"{len(told['csv'])} tables in {tables}", soft_wrap=True)
    if archive is not None:
        console.print(f"{archive}  digest {told['digest']}", soft_wrap=True)


@run
async def import_command(
    file: Annotated[Path, typer.Argument(help="A zip from `muster drill export --zip`.")],
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Import a drill from another Muster, with its ids; a changed or incomplete file is refused."""
    bundle = await asyncio.to_thread(unpack, file)
    async with _database(database, data_dir) as pool:
        done = await import_bundle(pool, bundle)
    if as_json:
        print_json({"id": done.drill_id, "new": done.new, "rows": done.rows, "digest": bundle.digest})
        return
    what = "imported" if done.new else "was on record" if not done.rows else "was on record; what is newer was added"
    console.print(f"Drill {done.drill_id} {what}: {done.rows} rows, digest {bundle.digest}", soft_wrap=True)


@improvements_app.command(name="list")
@run
async def list_items(
    drill: Annotated[UUID | None, typer.Argument(metavar="[ID]", help="Of this drill only.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Open and past their day; exits 1 if any.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """List improvement items that are open."""
    async with _database(database, data_dir) as pool:
        found = await items.read_improvements(pool, drill)
    today = datetime.now(UTC).date()
    shown = [
        item
        for item in found
        if (every or item.is_open)
        and (not overdue or item.is_overdue(today))
        and (owner is None or item.owner == owner)
    ]
    if as_json:
        print_json([_told(item, today) for item in shown])
    else:
        columns = ("id", "drill", "item", "owner", "due", "state")
        rows = [
            (item.id, item.drill, f"{item.title.en}\n{item.title.zh}", item.owner, item.due, _state(item, today))
            for item in shown
        ]
        print_table("Improvement items", columns, rows)
    if overdue and shown:
        raise typer.Exit(1)


def _state(item: items.Improvement, today: date) -> str:
    if not item.is_open:
        return "closed"
    return "overdue" if item.is_overdue(today) else "open"


def _told(item: items.Improvement, today: date) -> dict[str, Any]:
    return {
        "id": item.id,
        "drill_id": item.drill_id,
        "drill": item.drill,
        "finding": item.finding,
        "title": item.title,
        "owner": item.owner,
        "due": item.due,
        "state": _state(item, today),
        "history": item.history,
    }


@improvements_app.command(name="propose")
@run
async def propose_items(
    drill: Drill,
    by: By,
    due: Day = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Put an item on record for each gap of a drill's report that has none yet."""
    async with _database(database, data_dir) as pool:
        evaluation = (await read_report(pool, drill)).evaluation
        new = await items.propose(pool, drill, evaluation.proposals, due=_day(due), by=by)
    if as_json:
        print_json({"new": new, "gaps": len(evaluation.gaps)})
    else:
        console.print(f"{len(new)} new items for {len(evaluation.gaps)} gaps; see `muster drill improvements list`.")


@improvements_app.command(name="add")
@run
async def add_item(
    drill: Drill,
    title: Annotated[str, typer.Option(help="What shall be better, in your words.")],
    owner: Annotated[str, typer.Option(help="Who sees to it: a department's id or a name.")],
    by: By,
    title_zh: Annotated[str | None, typer.Option("--title-zh", help="The same in Chinese.")] = None,
    due: Day = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Put an item of your own on record."""
    if not title.strip():
        fail("--title is empty", MISUSE)
    text = Text(en=title.strip(), zh=(title_zh or title).strip() or title.strip())
    async with _database(database, data_dir) as pool:
        id_ = await items.add(pool, drill, text, owner=owner, due=_day(due), by=by)
    if as_json:
        print_json({"id": id_})
    else:
        console.print(f"Item {id_} is on record.")


def _day(due: datetime | None) -> date:
    return due.date() if due is not None else datetime.now(UTC).date() + DUE_AFTER


@improvements_app.command(name="assign")
@run
async def assign_item(
    item: Item,
    by: By,
    reason: Reason,
    owner: Annotated[str | None, typer.Option(help="The new owner.")] = None,
    due: Day = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Give an open item another owner or another day."""
    async with _database(database, data_dir) as pool:
        found = await items.assign(pool, item, owner=owner, due=due.date() if due else None, by=by, reason=reason)
    _say(found, as_json=as_json)


@improvements_app.command(name="close")
@run
async def close_item(
    item: Item,
    by: By,
    reason: Annotated[str, typer.Option(help="What was done about it.")],
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Close an item; its history stays."""
    async with _database(database, data_dir) as pool:
        found = await items.close(pool, item, by=by, reason=reason)
    _say(found, as_json=as_json)


@improvements_app.command(name="reopen")
@run
async def reopen_item(
    item: Item,
    by: By,
    reason: Reason,
    due: Day = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Open a closed item again."""
    async with _database(database, data_dir) as pool:
        found = await items.reopen(pool, item, by=by, reason=reason, due=due.date() if due else None)
    _say(found, as_json=as_json)


def _say(item: items.Improvement, *, as_json: bool) -> None:
    today = datetime.now(UTC).date()
    if as_json:
        print_json(_told(item, today))
    else:
        console.print(f"{item.title.en}: {_state(item, today)}, {item.owner or 'nobody'}, due {item.due or 'never'}")
