"""What would happen if this were reported: which plans answer and why, at which level, who is told what by when.

Nothing is sent and nothing is stored: the very engine that decides live is asked, and its answer is put in words.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas.base import format_duration
from schemas.command import Activate
from schemas.incident import IncidentReport
from schemas.vocabulary import ActivationState
from services.domain.decision import Commanded, Reported
from services.domain.draft import Draft
from services.domain.engine import decide
from services.domain.filling import wanted
from services.domain.incident import Activation, Incident
from services.domain.matching import Answers, choose_level
from services.domain.plan import Plan, Task
from services.domain.playbook import Playbook

_EVENT = UUID(int=0x7000_8000_0000_0000_0000)


@dataclass(frozen=True, slots=True)
class Told:
    """What one department would be told. ``after`` names the tasks that must be complete before the order goes out."""

    department: str
    role: str
    task: str
    title_en: str
    title_zh: str
    answer_within: str
    start_within: str | None
    complete_within: str | None
    after: tuple[str, ...]
    then: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One plan's answer. ``state`` is what it would be put into; ``told`` holds for ``level``, once confirmed."""

    plan: str
    version: int
    title_en: str
    title_zh: str
    answers: Answers
    reasons: tuple[str, ...]
    state: str | None = None
    called_by: str | None = None
    level: str | None = None
    level_reason: str | None = None
    told: tuple[Told, ...] = ()


def explain(report: IncidentReport, playbook: Playbook, now: datetime) -> list[Explanation]:
    """Explain every published plan for a report, those that answer first."""
    reported = decide(None, Reported(_EVENT, report), now, playbook).incident
    if reported is None:
        raise ValueError("a first report always makes an incident")
    states = {activation.plan: activation.state for activation in reported.activations.values()}
    settled = _confirmed(reported, playbook, now)
    found: list[Explanation] = []
    for verdict in playbook.published.explain(report):
        plan = verdict.plan
        activation = next((a for a in settled.activations.values() if a.plan == plan.id), None)
        common = (plan.id, plan.version, plan.title.en, plan.title.zh, verdict.answers, verdict.reasons)
        if activation is None:
            found.append(Explanation(*common))
            continue
        caller = settled.activations.get(activation.parent_id) if activation.parent_id else None
        found.append(
            Explanation(
                *common,
                state=states.get(plan.id, activation.state).value,
                called_by=caller.plan if caller else None,
                level=activation.level,
                level_reason=_why(settled, activation, playbook),
                told=_told(settled, activation, playbook, now),
            )
        )
    return sorted(found, key=lambda each: each.state is None)


def _confirmed(incident: Incident, playbook: Playbook, now: datetime) -> Incident:
    """Confirm what waits for a person, to see what would follow."""
    for activation in list(incident.activations.values()):
        if activation.state is ActivationState.ACTIVATED:
            continue
        command = Activate(
            incident_id=incident.id,
            status=incident.status,
            by="explain",
            reason="preview",
            decided_at=now,
            plan=activation.plan,
        )
        incident = decide(incident, Commanded(_EVENT, command), now, playbook).incident or incident
    return incident


def _draft(incident: Incident, playbook: Playbook, now: datetime) -> Draft:
    return Draft(incident, event_id=_EVENT, now=now, broker_at=None, playbook=playbook)


def _why(incident: Incident, activation: Activation, playbook: Playbook) -> str:
    return choose_level(playbook.frozen[activation.digest], incident.report)[1]


def _told(incident: Incident, activation: Activation, playbook: Playbook, now: datetime) -> tuple[Told, ...]:
    draft = _draft(incident, playbook, now)
    plan = playbook.frozen[activation.digest]
    told: list[Told] = []
    for task in plan.tasks.values():
        if not wanted(draft, activation, task):
            continue
        given = [a.department for a in incident.of_task(activation.id, task.id)]
        role = plan.roles[task.role]
        departments = given or list(role.candidates[: role.needed])
        after = () if given else tuple(name for name in task.after if wanted(draft, activation, plan.tasks[name]))
        then = tuple(name for name in role.candidates if name not in departments)
        told += [_one(plan, task, department, after, then) for department in departments]
    return tuple(told)


def _one(plan: Plan, task: Task, department: str, after: tuple[str, ...], then: tuple[str, ...]) -> Told:
    return Told(
        department=department,
        role=plan.roles[task.role].id,
        task=task.id,
        title_en=task.title.en,
        title_zh=task.title.zh,
        answer_within=format_duration(task.acknowledge),
        start_within=_span(task.start),
        complete_within=_span(task.complete),
        after=after,
        then=then,
    )


def _span(value: timedelta | None) -> str | None:
    return None if value is None else format_duration(value)
