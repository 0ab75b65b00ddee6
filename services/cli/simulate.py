"""``muster plan simulate``: many simulated responses to one report, and what they say about a plan."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas.base import parse_duration
from schemas.drill import DEFAULT, ParticipantRule
from schemas.incident import IncidentReport
from services.cli.output import JsonFlag, aside, console, fail, print_json
from services.cli.reports import read_report
from services.domain.directory import Directory
from services.domain.plan import Plan
from services.drills.behaviour import Course, draw_course
from services.drills.scenario import Scenario, load_scenario
from services.drills.seats import behave_of
from services.drills.simulate import CONFIRM_AFTER, Draw, make_setting
from services.drills.simulate_assumed import REPORTED_AT, as_exercise, assumptions, draw_assumed
from services.drills.simulate_cores import CHUNK, on_all_cores
from services.drills.simulate_findings import find
from services.drills.simulate_study import Player, Stage, draw_seeds, study
from services.drills.simulate_table import as_json as figures
from services.drills.simulate_table import print_findings
from services.playbooks.directory import load_directory
from services.playbooks.plans import load_plan, load_plans
from services.playbooks.problem import PlaybookError

AT_MOST = 100_000
"""Runs."""


def _duration(value: str | timedelta) -> timedelta:
    try:
        parsed: timedelta = parse_duration(value)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return parsed


def simulate(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan's id in the playbooks, or its file.")],
    incident: Annotated[Path, typer.Option("--incident", help="A CAP file or a report as JSON.")],
    runs: Annotated[int, typer.Option(min=1, max=AT_MOST, help="How many responses to play.")] = 1_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    drill: Annotated[Path | None, typer.Option("--drill", help="A drill whose participants take part.")] = None,
    confirm_after: Annotated[
        timedelta,
        typer.Option(parser=_duration, metavar="TIME", help="When a plan that waits for a duty officer is activated."),
    ] = CONFIRM_AFTER,
    playbooks: Annotated[Path, typer.Option("--playbooks", help="The folder with plans/ and departments.yaml.")] = Path(
        "playbooks"
    ),
    as_json: JsonFlag = False,
) -> None:
    """Play a plan many times on a virtual clock: how long it takes, what decides that, what each deputy is worth.

    Nothing is sent and nothing is stored. Transport takes no time; a plan that does not activate itself for this
    report is activated by a simulated duty officer.
    """
    scene = _scene(plan, incident, drill, playbooks)
    setting = make_setting(
        scene.plan, scene.plans, scene.directory, scene.report, scene.draw, confirm_after=confirm_after
    )
    try:
        stage = Stage(setting)
        with _playing(stage, runs) as player:
            findings = find(study(stage, draw_seeds(seed, runs), player))
    except ValueError as error:
        fail(str(error))
    drill_id = scene.scenario.document.id if scene.scenario else None
    told = assumptions(scene.plan, scene.report, confirm_after, drill_id)
    if as_json:
        print_json({**told, "seed": seed, **figures(findings)})
        return
    title = scene.plan.title
    console.print(f"SIMULATED  {title.en} · {title.zh}", style="bold", markup=False)
    console.print(
        f"{runs} runs, seed {seed}, level {findings.level}; {told['departments']}; {told['activation']}."
        " Transport takes no time.\n",
        style="dim",
        markup=False,
    )
    print_findings(findings, scene.plan.id, console)


@dataclass(frozen=True, slots=True)
class _Scene:
    plan: Plan
    plans: Sequence[Plan]
    directory: Directory
    report: IncidentReport
    draw: Draw
    scenario: Scenario | None


def _scene(name: str, incident: Path, drill: Path | None, playbooks: Path) -> _Scene:
    try:
        plans, directory = load_plans(playbooks / "plans"), load_directory(playbooks / "departments.yaml")
        plan = _find(name, plans)
        known = [plan, *(other for other in plans if other.id != plan.id)]
        scenario = None if drill is None else load_scenario(drill, known, directory)
    except PlaybookError as error:
        fail(str(error.problems[0]))
    report = as_exercise(read_report(incident, REPORTED_AT))
    if scenario is None:
        return _Scene(plan, plans, directory, report, draw_assumed(), None)
    default = next(rule for rule in scenario.document.participants if rule.department == DEFAULT)
    return _Scene(plan, plans, directory, report, partial(_draw_scripted, scenario, default), scenario)


def _find(name: str, plans: Sequence[Plan]) -> Plan:
    for plan in plans:
        if plan.id == name:
            return plan
    path = Path(name)
    if not path.exists():
        fail(f"{name}: is neither a plan ({', '.join(plan.id for plan in plans)}) nor a file", 2)
    return load_plan(path)


def _draw_scripted(scenario: Scenario, default: ParticipantRule, seed: int, department: str, task: str) -> Course:
    rule = scenario.participants.get(department) or default.model_copy(update={"department": department})
    return draw_course(behave_of(rule, scenario.models)(task, seed), seed, department, task)


@contextmanager
def _playing(stage: Stage, runs: int) -> Iterator[Player]:
    """Play on all cores, with a progress bar on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=aside, transient=True, disable=not aside.is_terminal) as progress:
        bar = progress.add_task("playing", total=runs)
        with on_all_cores(stage, parallel=runs > CHUNK, progressed=partial(progress.advance, bar)) as player:
            yield player
