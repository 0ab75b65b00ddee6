"""``muster drill``: exercise the plans on the real services with simulated departments, and read the reports back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import typer
from uuid_utils.compat import uuid7

from schemas.drill import MAX_SPEED
from schemas.vocabulary import Namespace
from services.cli import drill_canary, drill_compare, drill_control, drill_models, drill_replay, drill_review
from services.cli.drill_review import give
from services.cli.drill_stage import Run, lost_services, play, remember
from services.cli.output import JsonFlag, aside, print_json, print_table, run
from services.cli.own_servers import prepare, start_servers
from services.cli.plan import load_folder
from services.cli.processes import ATTACH, make_runtime
from services.cli.servers import DATA
from services.domain.directory import Directory
from services.domain.plan import Plan
from services.drills.control import are_followers
from services.drills.live import Screen
from services.drills.reading import read_report
from services.drills.record import Ending, list_drills
from services.drills.scenario import Scenario, load_scenario
from services.platform.logs import configure_logging
from services.platform.migrations import migrate
from services.platform.postgres import connect
from services.platform.settings import Settings
from services.playbooks.problem import PlaybookError

app = typer.Typer(no_args_is_help=True)

NOT_YET = timedelta(days=1)
STOPPED = 130
"""Exit code of a drill that a person stopped, as a shell gives it."""

Kafka = Annotated[str | None, typer.Option(help="A broker's address, or `apache` to start one.")]
Database = Annotated[str | None, typer.Option(help="A database's address.")]
DataDir = Annotated[Path, typer.Option(help="Where the embedded servers keep their data.")]
Reports = Annotated[Path | None, typer.Option("--report", help="The folder that gets the HTML report.")]
DRILL_DATA = DATA / "drill"


@app.command(name="run")
@run
async def run_drill(
    file: Annotated[Path, typer.Argument(help="A drill, such as playbooks/drills/chemical-release.yaml.")],
    speed: Annotated[float | None, typer.Option(min=1, max=MAX_SPEED, help="Scenario seconds in a second.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the departments decide the same.")] = 1,
    hold: Annotated[bool, typer.Option("--hold", help="Stand still at STARTEX until `muster drill start`.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds that real departments are waited for.")] = 15.0,
    announced: Annotated[
        bool | None, typer.Option("--announced/--unannounced", help="Whether its players knew; else as in the file.")
    ] = None,
    drill_id: Annotated[UUID | None, typer.Option("--id", help="The id it goes on record by.", hidden=True)] = None,
    report: Reports = None,
    kafka: Kafka = None,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    playbooks: Annotated[Path, typer.Option(help="The folder with plans/ and departments.yaml.")] = Path("playbooks"),
    as_json: JsonFlag = False,
) -> None:
    """Play a drill and print its report. An objective that isn't met is a finding of the drill, not a failure."""
    scenario = _load(file, *load_folder(playbooks))
    configure_logging(form="console" if aside.is_terminal else "json", level="error")
    async with AsyncExitStack() as stack:
        aside.print("Starting broker, database and services ...", style="dim")
        configured = await start_servers(stack, kafka=kafka, database=database, data_dir=data_dir)
        pace = speed or float(scenario.document.speed)
        # Until STARTEX, when the controller starts it, the exercise's clock shows what the wall's does.
        clocked = {"namespace": Namespace.EXERCISE, "clock_start": datetime.now(UTC) + NOT_YET, "clock_speed": pace}
        # What the drill kills runs as a process of its own; what runs already and goes by its clock is not run twice.
        followed = await _is_followed(configured)
        if not followed:
            await prepare(configured.model_copy(update={"namespace": Namespace.EXERCISE}), playbooks)
        kept = () if followed else tuple(name for name in ATTACH if name not in lost_services(scenario))
        runtime = await make_runtime(configured.model_copy(update=clocked), "drill", kept)
        if followed:
            # It is played with what is in force there, which need not be what this folder holds.
            playbook = await runtime.playbook.current()
            scenario = _load(file, list(playbook.published.by_id.values()), playbook.directory)
        if announced is not None:
            scenario = replace(scenario, document=scenario.document.model_copy(update={"announced": announced}))
        addresses = remember(data_dir, configured)
        stack.callback(partial(addresses.unlink, missing_ok=True))
        chosen = Run(seed, pace, wait, hold, followed, drill_id or uuid7())
        with Screen(scenario.document, pace, aside) as screen:
            drill_id, ending = await play(runtime, scenario, chosen, screen.show, data_dir / "services")
        pool = await connect(configured.postgres(Namespace.EXERCISE), size=2)
        try:
            found = await read_report(pool, drill_id)
        finally:
            await pool.close()
        await give(found, report or data_dir / "reports", as_json=as_json)
    if ending is Ending.STOPPED:
        raise typer.Exit(STOPPED)


async def _is_followed(configured: Settings) -> bool:
    pool = await connect(configured.postgres(Namespace.EXERCISE), size=1)
    try:
        return await are_followers(pool)
    finally:
        await pool.close()


def _load(file: Path, plans: Sequence[Plan], directory: Directory) -> Scenario:
    try:
        return load_scenario(file, plans, directory)
    except PlaybookError as error:
        for problem in error.problems:
            aside.print(str(problem), style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1) from None


@asynccontextmanager
async def _database(database: str | None, data_dir: Path) -> "AsyncIterator[asyncpg.Pool[asyncpg.Record]]":
    async with AsyncExitStack() as stack:
        # No broker is needed to read; any address keeps one from being started.
        configured = await start_servers(stack, kafka="-", database=database, data_dir=data_dir)
        pool = await connect(configured.postgres(Namespace.EXERCISE), size=2)
        stack.push_async_callback(pool.close)
        await migrate(pool)
        yield pool


@app.command(name="list")
@run
async def list_command(database: Database = None, data_dir: DataDir = DRILL_DATA, as_json: JsonFlag = False) -> None:
    """List the drills on record."""
    async with _database(database, data_dir) as pool:
        drills = await list_drills(pool)
    if as_json:
        print_json(drills)
        return
    columns = ("id", "drill", "version", "seed", "speed", "STARTEX", "ended")
    rows = [
        (d["id"], d["drill"], d["version"], d["seed"], d["speed"], f"{d['started_at']:%F %T}", _ended(d))
        for d in drills
    ]
    print_table("Drills", columns, rows)


def _ended(drill: dict[str, Any]) -> str | None:
    return f"{drill['ending']}, imported" if drill["imported_at"] else drill["ending"]


drill_review.register(app)
drill_control.register(app)
app.command(name="replay")(drill_replay.replay_command)
app.command(name="canary")(drill_canary.canary_command)
app.command(name="compare")(drill_compare.compare)
app.command(name="trend")(drill_compare.trend)
app.command(name="segments")(drill_models.segments)
app.add_typer(drill_models.models_app, name="models")
