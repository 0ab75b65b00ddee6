"""What is told of a plan over the API: a line in the catalogue, the whole plan with its reckoned facts, its history."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from graphlib import TopologicalSorter
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.base import Duration, Text
from schemas.plan import PlanDocument
from schemas.vocabulary import ActivationMode, Category, Clock, EscalationStep, PlanKind
from services.console.plans_store import Change, LastDrill, Shelf, Wording
from services.domain.plan import Plan, Task
from services.playbooks.diff import Change as Difference
from services.playbooks.problem import Problem


class Drilled(BaseModel):
    """The last drill in which the plan was put into force; ``due`` is when the next one is, as the plan asks."""

    id: UUID
    drill: str
    title: Text
    started_at: datetime
    due: date
    overdue: bool


class PlanLine(BaseModel):
    """One plan in the catalogue. ``departments`` counts those that can be called; the tasks are counted by kind."""

    id: str
    version: int
    digest: str
    title: Text
    summary: Text
    kind: PlanKind
    owner: str
    owner_title: Text | None
    categories: list[Category]
    mode: ActivationMode
    levels: list[str]
    review_by: date
    review_overdue: bool
    tasks: int
    reports: int
    stand_down: int
    departments: int
    calls: list[str]
    exercise_every: Duration
    last_drill: Drilled | None


class PlanList(BaseModel):
    """Plans in the order of their ids; ``next`` is the cursor of the next page."""

    items: list[PlanLine]
    next: str | None


class Rung(BaseModel):
    """One step of following up silence, ``wait`` after the step before."""

    step: EscalationStep
    wait: Duration


class TaskFacts(BaseModel):
    """One task as the engine has it: the ladder and the deadlines that hold, and who is called in which order.

    ``begins`` and ``ends`` are seconds from the activation: the latest begin and end that the deadlines of this task
    and of those before it allow; a task without a deadline for its end ends with the last one it has. A deadline
    that runs from the report (``clock``) is reckoned as if the plan were activated at once.
    """

    id: str
    kind: Literal["task", "report", "stand_down"]
    role: str
    title: Text
    done_when: Text
    instructions: Text | None
    levels: list[str] | None
    candidates: list[str]
    needed: int
    wait: Duration | None
    acknowledge: Duration
    start: Duration | None
    complete: Duration | None
    clock: Clock
    after: list[str]
    when: str | None
    read_back: bool
    ladder: list[Rung]
    to: Text | None
    citation: Text | None
    begins: int
    ends: int


class PlanView(BaseModel):
    """One wording of a plan: the document as it was written, and what follows from it.

    ``departments`` gives the titles of those it names, by id, as the directory in force has them.
    """

    id: str
    version: int
    digest: str
    published_at: datetime
    in_force: bool
    document: PlanDocument
    tasks: list[TaskFacts]
    departments: dict[str, Text]


class Period(BaseModel):
    """From when until when a wording was in force; no ``until`` while it is."""

    since: datetime
    until: datetime | None


class VersionLine(BaseModel):
    """One wording of a plan that was ever published."""

    version: int
    digest: str
    published_at: datetime
    in_force: bool
    review_by: date
    tasks: int
    periods: list[Period]


class VersionList(BaseModel):
    """The wordings of a plan, the newest version first."""

    items: list[VersionLine]
    next: str | None = None


class DifferenceLine(BaseModel):
    """One difference; ``concerns`` says whom it concerns beyond the planner, and is empty for a change of words."""

    path: str
    before: str | None
    after: str | None
    concerns: str


class DiffView(BaseModel):
    """What changed from one version of a plan to another."""

    plan: str
    from_version: int
    to_version: int
    items: list[DifferenceLine]


class Finding(BaseModel):
    """One finding of the linter. ``line`` counts from 1 and is absent where only the stored document is known."""

    severity: Literal["error", "warning"]
    line: int | None
    path: str
    message: str
    mend: str


class Findings(BaseModel):
    """What the linter finds."""

    errors: int
    warnings: int
    items: list[Finding]


class Checked(Findings):
    """What was found in a plan's text. ``plan`` is absent where the text is no plan.

    ``in_force`` is the version in force of the plan of that id, and ``changes`` what differs from it.
    """

    plan: str | None = None
    version: int | None = None
    title: Text | None = None
    in_force: int | None = None
    changes: list[DifferenceLine] = Field(default_factory=list)


def make_line(wording: Wording, shelf: Shelf, today: date, drill: LastDrill | None) -> PlanLine:
    """Write a plan's line."""
    document = wording.document
    titles = {department.id: department.title for department in shelf.directory.departments}
    return PlanLine(
        id=document.id,
        version=document.version,
        digest=wording.digest,
        title=document.title,
        summary=document.summary,
        kind=document.kind,
        owner=document.owner,
        owner_title=titles.get(document.owner),
        categories=list(document.match.categories),
        mode=document.activation.mode,
        levels=[level.id for level in document.levels],
        review_by=document.review_by,
        review_overdue=document.review_by < today,
        tasks=len(document.tasks),
        reports=len(document.reports),
        stand_down=len(document.stand_down),
        departments=len(set(_called(document))),
        calls=[call.plan for call in document.calls],
        exercise_every=document.exercise_every,
        last_drill=None if drill is None else _drilled(drill, document.exercise_every, today),
    )


def _drilled(drill: LastDrill, every: timedelta, today: date) -> Drilled:
    due = drill.started_at.date() + every
    return Drilled(
        id=drill.id,
        drill=drill.drill,
        title=Text.model_validate(drill.title),
        started_at=drill.started_at,
        due=due,
        overdue=due < today,
    )


def _called(document: PlanDocument) -> Iterator[str]:
    for role in document.roles:
        if role.quota is not None:
            yield from role.quota.any_of
        else:
            yield from (*((role.department,) if role.department else ()), *role.deputies)


def make_view(wording: Wording, plan: Plan, shelf: Shelf) -> PlanView:
    """Write a plan whole; ``plan`` is the wording compiled."""
    named = {wording.document.owner, *_called(wording.document)}
    reports = {report.id for report in wording.document.reports}
    spans = reckon(plan)
    return PlanView(
        id=wording.plan,
        version=wording.version,
        digest=wording.digest,
        published_at=wording.published_at,
        in_force=wording.in_force,
        document=wording.document,
        tasks=[_facts(plan, task, task.id in reports, spans) for task in plan.tasks.values()],
        departments={each.id: each.title for each in shelf.directory.departments if each.id in named},
    )


def _facts(plan: Plan, task: Task, is_report: bool, spans: Mapping[str, tuple[int, int]]) -> TaskFacts:
    role = plan.roles[task.role]
    begins, ends = spans[task.id]
    return TaskFacts(
        id=task.id,
        kind="stand_down" if task.stand_down else "report" if is_report else "task",
        role=task.role,
        title=task.title,
        done_when=task.done_when,
        instructions=task.instructions,
        levels=None if task.levels is None else [each for each in _in_order(plan) if each in task.levels],
        candidates=list(role.candidates),
        needed=role.needed,
        wait=role.wait,
        acknowledge=task.acknowledge,
        start=task.start,
        complete=task.complete,
        clock=task.clock,
        after=list(task.after),
        when=task.when.source if task.when else None,
        read_back=task.read_back,
        ladder=[Rung(step=rung.step, wait=rung.wait) for rung in task.ladder],
        to=task.to,
        citation=task.citation,
        begins=begins,
        ends=ends,
    )


def _in_order(plan: Plan) -> tuple[str, ...]:
    return ("standby", *plan.level_ids())


def reckon(plan: Plan) -> dict[str, tuple[int, int]]:
    """Say for each task when its order goes out and when its work ends at the latest, in seconds; see `TaskFacts`."""
    spans: dict[str, tuple[int, int]] = {}
    for name in TopologicalSorter({task.id: task.after for task in plan.tasks.values()}).static_order():
        task = plan.tasks[name]
        begins = max((spans[before][1] for before in task.after), default=0)
        longest = max(task.acknowledge, task.start or timedelta(0), task.complete or timedelta(0))
        ends = begins + round(longest.total_seconds())
        if task.clock is Clock.REPORTED and task.complete is not None:
            ends = max(begins, round(task.complete.total_seconds()))
        spans[name] = (begins, ends)
    return spans


def make_versions(wordings: list[Wording], changes: list[Change]) -> VersionList:
    """Write the versions with the times they were in force."""
    periods: dict[str, list[Period]] = {}
    for change, after in zip(changes, [*changes[1:], None], strict=True):
        if change.digest is not None:
            until = after.since if after else None
            periods.setdefault(change.digest, []).append(Period(since=change.since, until=until))
    return VersionList(
        items=[
            VersionLine(
                version=each.version,
                digest=each.digest,
                published_at=each.published_at,
                in_force=each.in_force,
                review_by=each.document.review_by,
                tasks=len(each.document.tasks),
                periods=periods.get(each.digest, []),
            )
            for each in wordings
        ]
    )


def make_difference(change: Difference) -> DifferenceLine:
    """Write one difference."""
    return DifferenceLine(path=change.path, before=change.before, after=change.after, concerns=change.breaking)


def make_findings(problems: list[Problem]) -> Findings:
    """Write what the linter found."""
    items = [
        Finding(
            severity=each.severity.value,
            line=each.line or None,
            path=each.path,
            message=" ".join(each.message.split()),
            mend=" ".join(each.mend.split()),
        )
        for each in problems
    ]
    errors = sum(each.severity == "error" for each in items)
    return Findings(errors=errors, warnings=len(items) - errors, items=items)
