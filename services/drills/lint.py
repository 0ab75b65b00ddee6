"""Everything that can be known to be wrong with a drill's file before anybody plays it."""

from collections.abc import Iterator, Mapping, Sequence

from schemas.drill import (
    DEFAULT,
    DrillDocument,
    Measure,
    ParticipantMode,
    ParticipantRule,
)
from services.domain.directory import Directory
from services.domain.plan import Plan
from services.drills.lint_injects import check_answered, check_injects
from services.playbooks.problem import NodePath, Problem, did_you_mean
from services.playbooks.yaml_source import SourceMap

_PACES = ("answer", "start", "work")
_SCRIPTED = ("declines", "silent_on", "blocked", "silent", "answer", "start", "work", "model")
"""What is said about a simulation, and means nothing to people."""


def check(document: DrillDocument, plans: Sequence[Plan], directory: Directory, source: SourceMap) -> list[Problem]:
    """Give every problem of a drill that isn't one of its conditions or models."""
    by_id = {plan.id: plan for plan in plans}
    exercised = with_called(document.plans, by_id)
    problems = [
        *_check_ids(document, source),
        *_check_plans(document, by_id, source),
        *_check_objectives(document, source),
        *_check_participants(document, directory, source),
        *_check_tasks(document, exercised, source),
        *check_injects(document, exercised, directory, source),
    ]
    # What the injects start is only told by injects that can be played.
    return problems or list(check_answered(document, plans, source))


def with_called(ids: Sequence[str], plans: Mapping[str, Plan]) -> list[Plan]:
    """Give the exercised plans and all that they may call."""
    found: dict[str, Plan] = {}
    waiting = [plan for plan in ids if plan in plans]
    while waiting:
        plan = plans[waiting.pop(0)]
        if plan.id not in found:
            found[plan.id] = plan
            waiting += [call.plan for call in plan.calls if call.plan in plans]
    return list(found.values())


def _check_ids(document: DrillDocument, source: SourceMap) -> Iterator[Problem]:
    lists = {"objectives": "id", "injects": "id", "participants": "department"}
    for name, key in lists.items():
        seen: set[str] = set()
        for index, item in enumerate(getattr(document, name)):
            value = getattr(item, key)
            if value in seen:
                yield source.problem((name, index, key), f'"{value}" is used twice', "keep one of them")
            seen.add(value)


def _check_plans(document: DrillDocument, plans: Mapping[str, Plan], source: SourceMap) -> Iterator[Problem]:
    for index, plan in enumerate(document.plans):
        if plan not in plans:
            yield source.problem(("plans", index), f'unknown plan "{plan}"', did_you_mean(plan, list(plans)))


def _check_objectives(document: DrillDocument, source: SourceMap) -> Iterator[Problem]:
    for index, objective in enumerate(document.objectives):
        path = ("objectives", index, "criterion")
        is_share = objective.criterion.measure is Measure.SHARE
        if is_share and objective.criterion.at_least is None:
            yield source.problem(path, "at_least: is missing", "write the percentage, like `at_least: 90`")
        elif not is_share and objective.criterion.at_least is not None:
            message = f"does not belong to {objective.criterion.measure}"
            yield source.problem((*path, "at_least"), message, "delete it, or write `measure: share`")


def _check_participants(document: DrillDocument, directory: Directory, source: SourceMap) -> Iterator[Problem]:
    known = [DEFAULT, *directory.departments]
    default = None
    for index, rule in enumerate(document.participants):
        path: NodePath = ("participants", index)
        if rule.department not in known:
            message = f'unknown department "{rule.department}"'
            yield source.problem((*path, "department"), message, did_you_mean(rule.department, known))
        if rule.declines and rule.declines_because is None:
            yield source.problem(path, "declines_because: is missing", "say why, in both languages")
        if rule.department == DEFAULT:
            default = rule
            for name in _PACES:
                if getattr(rule, name) is None:
                    yield source.problem(path, f"{name}: is missing", "the default needs all three paces")
            if rule.mode is not ParticipantMode.SIMULATED:
                yield source.problem((*path, "mode"), "the default is simulated", "name each real department")
        yield from _check_mode(rule, path, source)
    if default is None:
        yield source.problem(("participants",), 'no participant "default"', "write one; the others build on it")


def _check_mode(rule: ParticipantRule, path: NodePath, source: SourceMap) -> Iterator[Problem]:
    if rule.mode is ParticipantMode.MIXED and not rule.simulates:
        yield source.problem(path, "simulates: is missing", "list the tasks that are simulated, or write `mode: real`")
    if rule.mode is not ParticipantMode.MIXED and rule.simulates:
        yield source.problem(
            (*path, "simulates"), f"does not belong to a {rule.mode} department", "write `mode: mixed`"
        )
    if rule.mode is ParticipantMode.SIMULATED and rule.stand_in:
        yield source.problem((*path, "stand_in"), "stands in for nobody: the department is simulated", "delete it")
    if rule.mode is ParticipantMode.REAL and not rule.stand_in:
        for name in _SCRIPTED:
            if getattr(rule, name):
                mend = "delete it, or let a simulation stand in with `stand_in: true`"
                yield source.problem((*path, name), "does not belong to a real department", mend)


def _check_tasks(document: DrillDocument, plans: Sequence[Plan], source: SourceMap) -> Iterator[Problem]:
    called = {
        task.id: {name for plan in plans if task.id in plan.tasks for name in plan.roles[task.role].candidates}
        for each in plans
        for task in each.tasks.values()
    }
    if not called:
        return  # the plans are unknown, which is said already
    for index, objective in enumerate(document.objectives):
        for number, task in enumerate(objective.criterion.tasks):
            if task not in called:
                path: NodePath = ("objectives", index, "criterion", "tasks", number)
                yield source.problem(path, f'unknown task "{task}"', did_you_mean(task, list(called)))
    for index, rule in enumerate(document.participants):
        for path, task in _tasks_of(rule, index):
            if task not in called:
                yield source.problem(path, f'unknown task "{task}"', did_you_mean(task, list(called)))
            elif rule.department != DEFAULT and rule.department not in called[task]:
                mend = f"it goes to {', '.join(sorted(called[task]))}"
                yield source.problem(path, f'"{task}" is never given to {rule.department}', mend)


def _tasks_of(rule: ParticipantRule, index: int) -> Iterator[tuple[NodePath, str]]:
    for name in ("declines", "silent_on", "simulates"):
        for number, task in enumerate(getattr(rule, name)):
            yield ("participants", index, name, number), task
    if rule.blocked is not None:
        yield ("participants", index, "blocked", "task"), rule.blocked.task
