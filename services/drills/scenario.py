"""A drill's file, read as strictly as a plan's and checked against the plans and the directory it speaks of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from schemas.base import Text
from schemas.drill import (
    DEFAULT,
    DrillDocument,
    InjectKind,
    InjectRule,
    Measure,
    ParticipantRule,
    ReportFields,
)
from schemas.incident import Area, IncidentReport
from schemas.vocabulary import Certainty, MessageType, Severity, Status, Urgency
from services.domain.directory import Directory
from services.domain.identity import derive_id
from services.domain.matching import PlanIndex
from services.domain.plan import Plan
from services.domain.reports import merge
from services.playbooks.problem import NodePath, PlaybookError, Problem, did_you_mean
from services.playbooks.validation import validate
from services.playbooks.yaml_source import SourceMap, read_text, read_tree

MARK = Text(en="EXERCISE: ", zh="【演练】")
"""What every headline of a drill begins with, as on the radio."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A drill that can be run: the document, and how each simulated department behaves, by its id."""

    document: DrillDocument
    participants: Mapping[str, ParticipantRule]


def load_scenario(path: Path, plans: Sequence[Plan], directory: Directory) -> Scenario:
    """Read and check one drill file; PlaybookError with every problem of the file."""
    return parse_scenario(read_text(path), str(path), plans, directory)


def parse_scenario(text: str, file: str, plans: Sequence[Plan], directory: Directory) -> Scenario:
    """Read a drill's YAML text; ``file`` is the name that problems carry. PlaybookError when it can't be run."""
    tree, source = read_tree(text, file)
    document = validate(DrillDocument, tree, source)
    by_id = {plan.id: plan for plan in plans}
    problems = [
        *_check_ids(document, source),
        *_check_plans(document, by_id, source),
        *_check_injects(document, source),
        *_check_objectives(document, source),
        *_check_participants(document, directory, source),
    ]
    exercised = _with_called(document.plans, by_id)
    problems += _check_tasks(document, exercised, source)
    if not problems:
        problems += _check_answered(document, plans, by_id, source)
    if problems:
        raise PlaybookError(problems)
    return Scenario(document, _resolve(document, exercised))


def report_of(document: DrillDocument, inject: InjectRule, incident_id: UUID, reported_at: datetime) -> IncidentReport:
    """Make the report that an inject becomes; its status is Exercise, and its headline says so too."""
    told = inject.report or ReportFields()
    headline = told.headline or inject.says
    return IncidentReport(
        incident_id=incident_id,
        status=Status.EXERCISE,
        message_type=MessageType.ALERT if inject.kind is InjectKind.INCIDENT else MessageType.UPDATE,
        categories=told.categories,
        event=told.event.en if told.event else None,
        headline=f"{MARK.en}{headline.en}" if headline else None,
        description=told.description.en if told.description else None,
        severity=told.severity or Severity.UNKNOWN,
        urgency=told.urgency or Urgency.UNKNOWN,
        certainty=told.certainty or Certainty.UNKNOWN,
        areas=tuple(Area(description=area.en) for area in told.areas),
        parameters=dict(told.parameters),
        language="en",
        reported_at=reported_at,
        reported_by=f"drill {document.id}, inject {inject.id}",
    )


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


def _check_injects(document: DrillDocument, source: SourceMap) -> Iterator[Problem]:
    opened: dict[str, timedelta] = {}
    if document.duration <= timedelta(0):
        yield source.problem(("duration",), "nothing can happen in no time", "write a duration like 45m")
    for index, inject in enumerate(document.injects):
        path: NodePath = ("injects", index)
        if inject.at >= document.duration:
            yield source.problem((*path, "at"), "comes after ENDEX", "play it earlier, or raise `duration`")
        yield from _check_parts(inject, path, source)
        if inject.kind is InjectKind.INCIDENT:
            opened[inject.id] = inject.at
        elif inject.of is not None and inject.of not in opened:
            mend = did_you_mean(inject.of, list(opened))
            yield source.problem((*path, "of"), f'no incident "{inject.of}" is opened before it', mend)
        elif inject.of is not None and inject.at < opened[inject.of]:
            yield source.problem((*path, "at"), f'comes before "{inject.of}", which it is of', "play it later")
    if not opened:
        yield source.problem(("injects",), "no inject opens an incident", "begin with one of `kind: incident`")


def _check_parts(inject: InjectRule, path: NodePath, source: SourceMap) -> Iterator[Problem]:
    wanted = {
        InjectKind.INCIDENT: {"report"},
        InjectKind.UPDATE: {"of", "report"},
        InjectKind.MESSAGE: {"of", "says"},
    }[inject.kind]
    for name in ("of", "report", "says"):
        given = getattr(inject, name) is not None
        if given and name not in wanted:
            yield source.problem((*path, name), f"does not belong to a {inject.kind} inject", "delete it")
        elif not given and name in wanted:
            yield source.problem(path, f"{name}: is missing from this {inject.kind} inject", f"write `{name}:` here")
    if inject.kind is InjectKind.INCIDENT and inject.report is not None and not inject.report.categories:
        yield source.problem((*path, "report"), "categories: is missing", "write `categories: [...]` here")


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
    named = {rule.department: rule for rule in document.participants}
    for index, rule in enumerate(document.participants):
        path = ("participants", index)
        if rule.department not in known:
            message = f'unknown department "{rule.department}"'
            yield source.problem((*path, "department"), message, did_you_mean(rule.department, known))
        if rule.declines and rule.declines_because is None:
            yield source.problem(path, "declines_because: is missing", "say why, in both languages")
    default = named.get(DEFAULT)
    if default is None:
        yield source.problem(("participants",), 'no participant "default"', "write one; the others build on it")
    else:
        at = document.participants.index(default)
        for name in ("answer", "start", "work"):
            if getattr(default, name) is None:
                yield source.problem(("participants", at), f"{name}: is missing", "the default needs all three paces")


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
    for name in ("declines", "silent_on"):
        for number, task in enumerate(getattr(rule, name)):
            yield ("participants", index, name, number), task
    if rule.blocked is not None:
        yield ("participants", index, "blocked", "task"), rule.blocked.task


def _with_called(ids: Sequence[str], plans: Mapping[str, Plan]) -> list[Plan]:
    """Give the exercised plans and all that they may call."""
    found: dict[str, Plan] = {}
    waiting = [plan for plan in ids if plan in plans]
    while waiting:
        plan = plans[waiting.pop(0)]
        if plan.id not in found:
            found[plan.id] = plan
            waiting += [call.plan for call in plan.calls if call.plan in plans]
    return list(found.values())


def _check_answered(
    document: DrillDocument, plans: Sequence[Plan], by_id: Mapping[str, Plan], source: SourceMap
) -> Iterator[Problem]:
    index = PlanIndex(plans)
    known: dict[str, IncidentReport] = {}
    started: set[str] = set()
    for inject in document.injects:
        report = report_of(document, inject, _SOME_INCIDENT, _SOME_TIME)
        about = inject.of or inject.id
        known[about] = merge(known[about], report) if about in known else report
        started |= {verdict.plan.id for verdict in index.matches(known[about])}
    for number, plan in enumerate(document.plans):
        if plan not in {each.id for each in _with_called(sorted(started), by_id)}:
            mend = f"the incidents start {', '.join(sorted(started)) or 'no plan'}; change their report"
            yield source.problem(("plans", number), f'no inject starts "{plan}"', mend)


_SOME_TIME = datetime.fromisoformat("2026-01-01T10:00:00+00:00")
_SOME_INCIDENT = derive_id(_SOME_TIME, UUID(int=0), 1)


def _resolve(document: DrillDocument, plans: Sequence[Plan]) -> dict[str, ParticipantRule]:
    """Give every department that may be called its behaviour, with the default's paces where it has none."""
    named = {rule.department: rule for rule in document.participants}
    default = named.pop(DEFAULT)
    called = {name for plan in plans for role in plan.roles.values() for name in role.candidates}
    resolved = {}
    for department in sorted(called | set(named)):
        rule = named.get(department, default)
        paces = {name: getattr(rule, name) or getattr(default, name) for name in ("answer", "start", "work")}
        resolved[department] = rule.model_copy(update={"department": department, **paces})
    return resolved
