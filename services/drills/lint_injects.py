"""What can be wrong with injects: parts that don't belong, targets that aren't there, times that don't fit."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from schemas.base import format_duration
from schemas.drill import (
    DEFAULT,
    DrillDocument,
    DutyOfficer,
    InjectKind,
    InjectRule,
    ParticipantMode,
)
from schemas.incident import IncidentReport
from schemas.vocabulary import ActivationMode
from services.domain.directory import Directory
from services.domain.identity import derive_id
from services.domain.matching import PlanIndex
from services.domain.plan import Plan
from services.domain.reports import merge
from services.drills.telling import TELLING, report_of
from services.playbooks.problem import NodePath, Problem, did_you_mean
from services.playbooks.yaml_source import SourceMap

_PARTS: Mapping[InjectKind, tuple[frozenset[str], frozenset[str]]] = {
    kind: (frozenset(needed.split()), frozenset(optional.split()))
    for kind, needed, optional in (
        (InjectKind.INCIDENT, "report", ""),
        (InjectKind.UPDATE, "of report", ""),
        (InjectKind.MESSAGE, "of says", ""),
        (InjectKind.DEPARTMENT_SILENT, "department", "tasks lasts"),
        (InjectKind.DEPARTMENT_DECLINES, "department because", "tasks lasts"),
        (InjectKind.OBSTACLE, "department task says lasts", ""),
        (InjectKind.CONSUMER_OUTAGE, "department lasts", ""),
        (InjectKind.SERVICE_LOSS, "service lasts", ""),
        (InjectKind.CONFIRM, "of plan because", "level"),
        (InjectKind.LEVEL, "of level because", "plan"),
    )
}
"""What each kind needs, and what it may have."""
_ALL_PARTS = (
    "of", "report", "says", "department", "task", "tasks", "because", "lasts", "service", "plan", "level",
)  # fmt: skip
_DECISIONS = frozenset({InjectKind.CONFIRM, InjectKind.LEVEL})
_BACK_BEFORE_ENDEX = frozenset({InjectKind.CONSUMER_OUTAGE, InjectKind.SERVICE_LOSS})


def check_injects(
    document: DrillDocument, exercised: Sequence[Plan], directory: Directory, source: SourceMap
) -> Iterator[Problem]:
    """Give every problem of the injects by themselves, and with the plans and departments they speak of."""
    if document.duration <= timedelta(0):
        yield source.problem(("duration",), "nothing can happen in no time", "write a duration like 45m")
    opened: dict[str, InjectRule] = {}
    for index, inject in enumerate(document.injects):
        path: NodePath = ("injects", index)
        yield from _check_trigger(document, inject, path, source)
        yield from _check_parts(inject, path, source)
        yield from _check_of(inject, opened, path, source)
        yield from _check_expected(document, inject, path, source)
        yield from _check_department(document, inject, exercised, directory, path, source)
        if exercised:
            yield from _check_decision(document, inject, exercised, path, source)
        if inject.kind is InjectKind.INCIDENT:
            opened[inject.id] = inject
    if not opened:
        yield source.problem(("injects",), "no inject opens an incident", "begin with one of `kind: incident`")
    yield from _check_losses(document, source)


def _check_trigger(document: DrillDocument, inject: InjectRule, path: NodePath, source: SourceMap) -> Iterator[Problem]:
    if inject.manual and inject.when is not None:
        yield source.problem((*path, "when"), "does not belong to a manual inject", "delete it, or `manual: true`")
    if not inject.manual and inject.when is None and "at" not in inject.model_fields_set:
        yield source.problem(path, "at: is missing", "write `at:`, a condition as `when:`, or `manual: true`")
    if inject.at >= document.duration:
        yield source.problem((*path, "at"), "comes after ENDEX", "play it earlier, or raise `duration`")


def _check_parts(inject: InjectRule, path: NodePath, source: SourceMap) -> Iterator[Problem]:
    needed, optional = _PARTS[inject.kind]
    for name in _ALL_PARTS:
        given = getattr(inject, name) not in (None, ())
        if given and name not in needed | optional:
            yield source.problem((*path, name), f"does not belong to a {inject.kind} inject", "delete it")
        elif not given and name in needed:
            yield source.problem(path, f"{name}: is missing from this {inject.kind} inject", f"write `{name}:` here")
    if inject.kind is InjectKind.INCIDENT and inject.report is not None and not inject.report.categories:
        yield source.problem((*path, "report"), "categories: is missing", "write `categories: [...]` here")
    if inject.lasts is not None and inject.lasts <= timedelta(0):
        yield source.problem((*path, "lasts"), "nothing happens in no time", "write a duration like 5m")


def _check_of(
    inject: InjectRule, opened: Mapping[str, InjectRule], path: NodePath, source: SourceMap
) -> Iterator[Problem]:
    if inject.of is None or inject.kind is InjectKind.INCIDENT:
        return
    incident = opened.get(inject.of)
    if incident is None:
        mend = did_you_mean(inject.of, list(opened))
        yield source.problem((*path, "of"), f'no incident "{inject.of}" is opened before it', mend)
    elif not _is_timed(inject):
        return
    elif not _is_timed(incident):
        mend = f"write `when: '\"{inject.of}\" in played'` instead of `at:`"
        yield source.problem((*path, "at"), f'"{inject.of}" may come later than that, or never', mend)
    elif inject.at < incident.at:
        yield source.problem((*path, "at"), f'comes before "{inject.of}", which it is of', "play it later")


def _check_expected(
    document: DrillDocument, inject: InjectRule, path: NodePath, source: SourceMap
) -> Iterator[Problem]:
    if inject.within is not None and inject.at + inject.within > document.duration:
        left = format_duration(max(document.duration - inject.at, timedelta(0)))
        yield source.problem((*path, "within"), "is over only after ENDEX", f"write at most {left}, or play it earlier")
    ends_late = inject.lasts is not None and inject.at + inject.lasts >= document.duration
    if ends_late and inject.kind in _BACK_BEFORE_ENDEX:
        mend = "play it earlier, make it shorter, or raise `duration`"
        yield source.problem((*path, "lasts"), "is over only after ENDEX", mend)


def _check_department(
    document: DrillDocument,
    inject: InjectRule,
    exercised: Sequence[Plan],
    directory: Directory,
    path: NodePath,
    source: SourceMap,
) -> Iterator[Problem]:
    if inject.department is None:
        return
    if inject.department not in directory.departments:
        mend = did_you_mean(inject.department, list(directory.departments))
        yield source.problem((*path, "department"), f'unknown department "{inject.department}"', mend)
        return
    called = _callable(exercised)
    if exercised and not any(inject.department in names for names in called.values()):
        message = f"{inject.department} is called by no plan of this drill"
        yield source.problem((*path, "department"), message, "name one that is")
        return
    wanted = [((*path, "task"), inject.task)] if inject.task else []
    wanted += [((*path, "tasks", number), task) for number, task in enumerate(inject.tasks)]
    for where, task in wanted:
        if called and task not in called:
            yield source.problem(where, f'unknown task "{task}"', did_you_mean(task, list(called)))
        elif called and inject.department not in called[task]:
            mend = f"it goes to {', '.join(sorted(called[task]))}"
            yield source.problem(where, f'"{task}" is never given to {inject.department}', mend)
    yield from _check_seat(document, inject, [task for _, task in wanted], path, source)


def _check_seat(
    document: DrillDocument, inject: InjectRule, tasks: Sequence[str], path: NodePath, source: SourceMap
) -> Iterator[Problem]:
    """Only a simulation can be told how to behave."""
    rule = next((each for each in document.participants if each.department == inject.department), None)
    if rule is None or rule.department == DEFAULT or rule.mode is ParticipantMode.SIMULATED:
        return
    mend = "tell its people by a `message`, or let it be simulated"
    is_outage = inject.kind is InjectKind.CONSUMER_OUTAGE
    if rule.mode is ParticipantMode.REAL or is_outage:
        yield source.problem((*path, "department"), f"{rule.department} is {rule.mode}: it does what it does", mend)
    elif not tasks or not set(tasks) <= set(rule.simulates):
        message = f"{rule.department} is simulated only in {', '.join(rule.simulates)}"
        yield source.problem((*path, "department"), message, "name those tasks")


def _check_decision(
    document: DrillDocument,
    inject: InjectRule,
    exercised: Sequence[Plan],
    path: NodePath,
    source: SourceMap,
) -> Iterator[Problem]:
    if inject.kind not in _DECISIONS:
        return
    if document.duty_officer is DutyOfficer.REAL:
        message = "is decided by the duty officer, who is real in this drill"
        yield source.problem((*path, "kind"), message, "delete the inject, or `duty_officer: real`")
    plans = {plan.id: plan for plan in exercised}
    if inject.plan is not None and inject.plan not in plans:
        yield source.problem((*path, "plan"), f'unknown plan "{inject.plan}"', did_you_mean(inject.plan, list(plans)))
        return
    among = [plans[inject.plan]] if inject.plan is not None else list(exercised)
    levels = list(dict.fromkeys(level for plan in among for level in plan.level_ids()))
    if inject.level is not None and inject.level not in levels:
        yield source.problem((*path, "level"), f'unknown level "{inject.level}"', f"write one of: {', '.join(levels)}")


def _check_losses(document: DrillDocument, source: SourceMap) -> Iterator[Problem]:
    """Find what is lost a second time while it is lost."""
    back: dict[str, timedelta] = {}
    timed = [(index, each) for index, each in enumerate(document.injects) if _is_timed(each)]
    for index, inject in sorted(timed, key=lambda pair: pair[1].at):
        if inject.kind in _BACK_BEFORE_ENDEX and inject.lasts is not None:
            lost = inject.service or inject.department or ""
            if lost in back and inject.at < back[lost]:
                mend = f"play it after {format_duration(back[lost])}"
                yield source.problem(("injects", index, "at"), f"{lost} is lost already at that time", mend)
            back[lost] = inject.at + inject.lasts


def check_answered(document: DrillDocument, plans: Sequence[Plan], source: SourceMap) -> Iterator[Problem]:
    """Give a problem for each plan that no inject starts, or that nobody confirms."""
    index = PlanIndex(plans)
    known: dict[str, IncidentReport] = {}
    started: dict[str, Plan] = {}
    chosen = {inject.plan for inject in document.injects if inject.kind is InjectKind.CONFIRM}
    for inject in document.injects:
        if inject.kind not in TELLING:
            continue
        report = report_of(document, inject, _SOME_INCIDENT, _SOME_TIME)
        about = inject.of or inject.id
        known[about] = merge(known[about], report) if about in known else report
        started |= {verdict.plan.id: verdict.plan for verdict in index.matches(known[about])}
    needs_word = document.duty_officer is DutyOfficer.SIMULATED
    reached = _reached([*started, *(plan for plan in chosen if plan is not None)], plans)
    for number, plan in enumerate(document.plans):
        if plan not in reached:
            mend = f"the incidents start {', '.join(sorted(started)) or 'no plan'}; change their report"
            yield source.problem(("plans", number), f'no inject starts "{plan}"', mend)
        elif needs_word and plan in started and started[plan].mode is ActivationMode.CONFIRM and plan not in chosen:
            mend = "add an inject of `kind: confirm`, or write `duty_officer: real`"
            yield source.problem(("plans", number), f'"{plan}" must be confirmed, and nobody does', mend)


def _reached(started: Sequence[str], plans: Sequence[Plan]) -> set[str]:
    """List what is started, with all that it may call."""
    by_id = {plan.id: plan for plan in plans}
    found: set[str] = set()
    waiting = list(started)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [call.plan for call in by_id[name].calls] if name in by_id else []
    return found


def _callable(plans: Sequence[Plan]) -> dict[str, set[str]]:
    """Give the departments that each task may be given to."""
    called: dict[str, set[str]] = {}
    for plan in plans:
        for task in plan.tasks.values():
            called.setdefault(task.id, set()).update(plan.roles[task.role].candidates)
    return called


def _is_timed(inject: InjectRule) -> bool:
    return not inject.manual and inject.when is None


_SOME_TIME = datetime.fromisoformat("2026-01-01T10:00:00+00:00")
_SOME_INCIDENT = derive_id(_SOME_TIME, UUID(int=0), 1)
