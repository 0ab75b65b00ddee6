"""``muster plan simulate``: many simulated responses to one report, and what they say about a plan."""

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas.base import format_duration, parse_duration
from schemas.drill import DEFAULT, ParticipantRule
from schemas.incident import IncidentReport
from schemas.vocabulary import ActivationMode, Status
from services.cli.output import JsonFlag, aside, console, fail, print_json
from services.cli.reports import read_report
from services.domain.directory import Directory
from services.domain.matching import Answers, judge
from services.domain.plan import Plan
from services.drills.behaviour import Behaviour, Course, draw_course
from services.drills.scenario import Scenario, load_scenario
from services.drills.seats import behave_of
from services.drills.simulate import CONFIRM_AFTER, HORIZON, Draw, make_setting
from services.drills.simulate_findings import find
from services.drills.simulate_study import Played, Player, Stage, draw_seeds, study
from services.drills.simulate_table import as_json as figures
from services.drills.simulate_table import print_findings
from services.playbooks.directory import load_directory
from services.playbooks.plans import load_plan, load_plans
from services.playbooks.problem import PlaybookError

ASSUMED = Behaviour(
    answer_median=45,
    answer_sigma=0.6,
    start_median=120,
    start_sigma=0.6,
    work_median=1_200,
    work_sigma=0.6,
    decline=0.02,
    silent=0.02,
    block=0.05,
)
"""Every department without a drill to say otherwise. Assumed, not measured: fit your own, and say it in a drill."""
REPORTED_AT = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
"""When a report that does not say so was taken in; a fixed time, as conditions may ask for the hour."""
CHUNK = 25
"""Runs that a process takes on at once."""
AT_MOST = 100_000
"""Runs."""
PROCESSES = 8
"""At most; never more than there are cores. Each run depends on its seed alone, so they change nothing but the time."""


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
        with _player(stage, parallel=runs > CHUNK) as player:
            findings = find(study(stage, draw_seeds(seed, runs), player))
    except ValueError as error:
        fail(str(error))
    assumptions = _assumptions(scene, confirm_after)
    if as_json:
        print_json({**assumptions, "seed": seed, **figures(findings)})
        return
    title = scene.plan.title
    console.print(f"SIMULATED  {title.en} · {title.zh}", style="bold", markup=False)
    console.print(
        f"{runs} runs, seed {seed}, level {findings.level}; {assumptions['departments']}; {assumptions['activation']}."
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
    report = read_report(incident, REPORTED_AT)
    at = report.alert.sent if report.alert else report.reported_at
    report = report.model_copy(update={"status": Status.EXERCISE, "reported_at": at})
    if scenario is None:
        return _Scene(plan, plans, directory, report, partial(_draw_assumed, ASSUMED), None)
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


def _draw_assumed(behaviour: Behaviour, seed: int, department: str, task: str) -> Course:
    return draw_course(behaviour, seed, department, task)


def _draw_scripted(scenario: Scenario, default: ParticipantRule, seed: int, department: str, task: str) -> Course:
    rule = scenario.participants.get(department) or default.model_copy(update={"department": department})
    return draw_course(behave_of(rule, scenario.models)(task, seed), seed, department, task)


def _assumptions(scene: _Scene, confirm_after: timedelta) -> dict[str, Any]:
    verdict = judge(scene.plan, scene.report)
    if verdict.answers is Answers.YES and scene.plan.mode is ActivationMode.AUTOMATIC:
        activation = "it activates itself"
    else:
        why = f"its mode is {scene.plan.mode}" if verdict.answers is Answers.YES else f"a match: {verdict.answers}"
        activation = f"activated by the duty officer after {format_duration(confirm_after)} ({why})"
    if scene.scenario is None:
        departments = "departments behave as assumed, which nobody measured (--drill gives them their own)"
    else:
        departments = f"departments behave as in drill {scene.scenario.document.id}"
    return {
        "plan": scene.plan.id,
        "version": scene.plan.version,
        "digest": scene.plan.digest,
        "simulated": True,
        "activation": activation,
        "departments": departments,
        "horizon": HORIZON.total_seconds(),
    }


@contextmanager
def _player(stage: Stage, *, parallel: bool) -> Iterator[Player]:
    """Play on all cores, with a progress bar on stderr. What the workers need, they have from the fork."""
    _shared.stage = stage
    with ExitStack() as stack:
        pool = None
        if parallel and sys.platform == "linux":
            processes = min(PROCESSES, len(os.sched_getaffinity(0)))
            pool = stack.enter_context(multiprocessing.get_context("fork").Pool(processes))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        progress = stack.enter_context(Progress(*columns, console=aside, transient=True, disable=not aside.is_terminal))

        def play_all(seeds: Sequence[int]) -> Iterator[Played]:
            chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
            bar = progress.add_task("playing", total=len(seeds))
            for played in pool.imap(_play_chunk, chunks) if pool else map(_play_chunk, chunks):
                progress.advance(bar, len(played))
                yield from played

        yield play_all


class _Shared:
    """What forked workers find in memory: compiled conditions can't be sent to them."""

    stage: Stage


_shared = _Shared()


def _play_chunk(seeds: Sequence[int]) -> list[Played]:
    return [_shared.stage.play(seed) for seed in seeds]
