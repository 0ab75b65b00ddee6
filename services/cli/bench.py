"""``muster bench``: the floor, Muster and its peers in one run on this machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from services.bench import guard as guarding
from services.bench import peers as others
from services.bench import profiling
from services.bench.chart import chart as draw
from services.bench.figures import Row
from services.bench.plan import SCENARIOS, Plan, full, guard_plan, quick
from services.bench.run import Outcome, measure
from services.bench.stage import BenchError
from services.cli.output import JsonFlag, aside, console, fail, print_json, print_table, run
from services.platform.logs import configure_logging


@run
async def bench(
    kafka: Annotated[str, typer.Option(help="`embedded`, or `apache` (Java 17 and Maven).")] = "embedded",
    only: Annotated[list[str] | None, typer.Option(help="A scenario; may be given again.")] = None,
    is_quick: Annotated[bool, typer.Option("--quick", help="Smaller and shorter; the same ratios.")] = False,
    peers: Annotated[bool, typer.Option("--peers", help="Peers too; needs `uv sync --group bench`.")] = False,
    minutes: Annotated[float, typer.Option(help="How long a service's memory is watched.")] = 10,
    profile: Annotated[
        Path | None, typer.Option(help="A folder for profiles of dispatch and tracking; needs the same group.")
    ] = None,
    chart: Annotated[Path | None, typer.Option(help="An SVG file for the throughputs.")] = None,
    guard: Annotated[
        Path | None,
        typer.Option(help="Compare ratios with those in this file; exits 1 when one is halved."),
    ] = None,
    record: Annotated[Path | None, typer.Option(help="Put the ratios into this file, for --guard.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure the distance to the limit, on servers of its own; nothing that runs here already is touched."""
    if kafka not in {"embedded", "apache"}:
        fail(f"--kafka {kafka}: write embedded or apache", 2)
    for name in only or ():
        if name not in SCENARIOS:
            fail(f"--only {name}: there is no such scenario; write one of {', '.join(SCENARIOS)}", 2)
    configure_logging(form="console", level="error")
    if guard is not None:
        plan = guard_plan()
    else:
        make = quick if is_quick else full
        plan = make(only or (), peers=peers, minutes=minutes, profile=profile)
    try:
        outcome, findings = await _measured(plan, kafka, {} if guard is None else guarding.read(guard))
    except BenchError as error:
        fail(str(error))
    if record is not None:
        guarding.write(record, outcome.rows)
    if chart is not None:
        chart.write_text(draw(outcome.rows, _about(outcome)))
    if as_json:
        print_json(outcome.document() | {"guard": [str(finding) for finding in findings if not finding.ok]})
    else:
        _show(outcome)
        for finding in findings:
            console.print(f"{'ok  ' if finding.ok else 'WORSE'} {finding}")
    if outcome.failed:
        fail(outcome.failed[0])
    if any(not finding.ok for finding in findings):
        fail("a ratio is less than half as good as the one on file; see `muster bench --profile`")


async def _measured(plan: Plan, kafka: str, recorded: Mapping[str, float]) -> tuple[Outcome, list[guarding.Finding]]:
    if plan.peers:
        others.require()
    if plan.profile is not None:
        profiling.require()
        plan.profile.mkdir(parents=True, exist_ok=True)
    for _ in range(guarding.TRIES):
        outcome = await measure(plan, apache=kafka == "apache", tell=lambda text: aside.print(text, style="dim"))
        findings = guarding.compare(outcome.rows, recorded)
        if all(finding.ok for finding in findings):
            break
    return outcome, findings


def _about(outcome: Outcome) -> str:
    about = outcome.about
    return f"{about['broker']}, {about['processors']} processors, Python {about['python']}, {about['at']}"


def _show(outcome: Outcome) -> None:
    scenarios = dict.fromkeys(row.scenario for row in outcome.rows)
    for scenario in scenarios:
        rows = [row for row in outcome.rows if row.scenario == scenario]
        print_table(scenario, ("what", "median (least-most)", "unit", "held to", ""), map(_cells, rows))
        _notes(rows)
    console.print(f"{_about(outcome)}, {outcome.about['seconds']:.0f} s")


def _notes(rows: Sequence[Row]) -> None:
    for row in rows:
        if row.note is not None:
            console.print(f"  {row.title}: {row.note}")


def _cells(row: Row) -> tuple[object, ...]:
    kept = None if row.met is None else "met" if row.met else "not met"
    return row.title, row.figure, row.figure.unit if row.of is None else f"x {row.of}", row.target, kept
