"""Rules about tasks: their deadlines, their ladders, and what they wait for."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from schemas.plan import STANDBY, EscalationRule, PlanDocument, ReportRule, TaskRule
from schemas.vocabulary import EscalationStep
from services.playbooks.problem import NodePath, Problem, did_you_mean
from services.playbooks.rules.cycles import find_cycles
from services.playbooks.yaml_source import SourceMap


def check_deadlines(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    """Check that answering comes before starting, and starting before being done; no time may be zero."""
    for name in ("tasks", "stand_down"):
        for index, task in enumerate(getattr(plan, name)):
            path: NodePath = (name, index, "deadlines")
            limits = [(step, getattr(task.deadlines, step)) for step in ("acknowledge", "start", "complete")]
            given = [(step, limit) for step, limit in limits if limit is not None]
            for step, limit in given:
                if limit <= timedelta(0):
                    yield source.problem((*path, step), "the time is zero", "write at least 1s")
            for (earlier, shorter), (later, longer) in pairwise(given):
                if shorter > longer:
                    message = f"{later} is due before {earlier}"
                    yield source.problem((*path, later), message, f"allow at least as long as for {earlier}")
    for index, report in enumerate(plan.reports):
        if report.within <= timedelta(0):
            yield source.problem(("reports", index, "within"), "the time is zero", "write at least 1s")


def check_ladders(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    """Check that silence reaches a person in the end."""
    yield from _check_ladder(plan.escalation, ("escalation",), source)
    for name in ("tasks", "stand_down"):
        for index, task in enumerate(getattr(plan, name)):
            if task.escalation is not None:
                yield from _check_ladder(task.escalation, (name, index, "escalation"), source)


def check_dependencies(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    """Check that what a task waits for exists, is issued whenever the task is, and doesn't wait for the task."""
    orders: dict[str, TaskRule | ReportRule] = {report.id: report for report in plan.reports}
    orders |= {task.id: task for task in plan.tasks}
    endings: dict[str, TaskRule | ReportRule] = {task.id: task for task in plan.stand_down}
    levels = tuple(level.id for level in plan.levels)
    for name, own, other in (("tasks", orders, endings), ("stand_down", endings, orders)):
        for index, task in enumerate(getattr(plan, name)):
            for position, awaited in enumerate(task.after):
                path: NodePath = (name, index, "after", position)
                if awaited in own:
                    yield from _check_levels(task, own[awaited], levels, path, source)
                elif awaited in other:
                    yield source.problem(path, *_wrong_phase(awaited, name))
                else:
                    mend = did_you_mean(awaited, list(own))
                    yield source.problem(path, f'unknown task "{awaited}"', mend)
    yield from _check_cycles(plan, source)


def _wrong_phase(awaited: str, name: str) -> tuple[str, str]:
    if name == "stand_down":
        return f'a stand-down task can\'t wait for "{awaited}", which may never be done', "wait for a stand-down task"
    return f'"{awaited}" is done at stand-down only, so this task would never start', "wait for another task"


def _check_levels(
    task: TaskRule, awaited: TaskRule | ReportRule, levels: tuple[str, ...], path: NodePath, source: SourceMap
) -> Iterator[Problem]:
    issued = task.levels if task.levels is not None else levels
    awaited_at = awaited.levels if awaited.levels is not None else levels
    missing = [level for level in (*levels, STANDBY) if level in issued and level not in awaited_at]
    if missing:
        where = ", ".join(missing)
        message = f'waits for "{awaited.id}", which is not issued at {where}'
        yield source.problem(path, message, f'issue "{awaited.id}" there as well, or don\'t wait for it')


def _check_cycles(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    places: dict[str, NodePath] = {}
    after: dict[str, tuple[str, ...]] = {}
    for name in ("tasks", "stand_down"):
        for index, task in enumerate(getattr(plan, name)):
            places.setdefault(task.id, (name, index, "after"))
            after.setdefault(task.id, task.after)
    for cycle in find_cycles(after):
        chain = " -> ".join((*cycle, cycle[0]))
        yield source.problem(places[cycle[0]], f"tasks wait for each other: {chain}", "let one of them not wait")


def _check_ladder(ladder: tuple[EscalationRule, ...], path: NodePath, source: SourceMap) -> Iterator[Problem]:
    if not ladder or ladder[-1].step is not EscalationStep.DUTY_OFFICER:
        place = (*path, len(ladder) - 1) if ladder else path
        mend = "end it with {step: duty_officer, wait: ...}"
        yield source.problem(place, "the ladder ends before it reaches a duty officer", mend)
