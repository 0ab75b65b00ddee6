"""What is sent and what is in force while measuring: plans, a directory, reports and answers."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from schemas.acknowledgement import Acknowledgement
from schemas.envelope import ACKNOWLEDGEMENT, INCIDENT, Envelope, write_value
from schemas.incident import Area, IncidentReport
from schemas.plan import DirectoryDocument, PlanDocument
from schemas.vocabulary import Answer, Category, Certainty, MessageType, Severity, Status, Urgency
from services.playbooks.plans import canonical, digest
from services.playbooks.stored import Wordings

TASKS = 6
"""Assignments of one incident in every scenario that doesn't say otherwise."""
EVENT = "Chemical release"
Sent = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""A record to send: key, value, headers."""


def department(number: int) -> str:
    """Name a department."""
    return f"department-{number:05}"


def directory(departments: int) -> DirectoryDocument:
    """Make a directory of so many departments."""

    def contact(post: str) -> dict[str, Any]:
        return {"name": {"en": f"{post} on duty", "zh": "值班人员"}, "phone": "555-0100"}

    return DirectoryDocument.model_validate(
        {
            "duty_officer": department(0),
            "departments": [
                {
                    "id": department(number),
                    "title": {"en": f"Department {number}", "zh": f"第{number}部门"},
                    **{post: contact(post.capitalize()) for post in ("liaison", "deputy", "superior")},
                    "duty_phone": "555-0100",
                }
                for number in range(departments)
            ],
        }
    )


def plan(
    name: str,
    *,
    event: str = EVENT,
    roles: Sequence[dict[str, Any]] | None = None,
    acknowledge: str = "30m",
    category: Category = Category.CBRNE,
    version: int = 1,
) -> PlanDocument:
    """Make an automatic plan of `TASKS` tasks, each for a department of its own; with ``roles`` one task for each."""
    owners = roles or [
        {"id": f"role-{n}", "title": {"en": f"Role {n}", "zh": f"职能{n}"}, "department": department(n)}
        for n in range(TASKS)
    ]
    return PlanDocument.model_validate(
        {
            "id": name,
            "version": version,
            "title": {"en": f"Plan {name}", "zh": "危险化学品泄漏专项应急预案"},
            "summary": {"en": "Close off, warn, measure, treat.", "zh": "封锁、预警、监测、救治。"},
            "kind": "special",
            "owner": department(0),
            "review_by": date(2099, 1, 1),
            "exercise_every": "180d",
            "match": {
                "categories": [category],
                "events": [event],
                "minimum": {"severity": "Moderate"},
                "when": "severity_rank >= 2",
            },
            "activation": {"mode": "automatic"},
            "levels": [
                {"id": "I", "title": {"en": "Level I", "zh": "一级响应"}, "when": 'severity == "Extreme"'},
                {"id": "II", "title": {"en": "Level II", "zh": "二级响应"}, "when": "severity_rank >= 3"},
                {"id": "III", "title": {"en": "Level III", "zh": "三级响应"}},
            ],
            "roles": owners,
            "escalation": [{"step": "remind", "wait": "30m"}, {"step": "duty_officer", "wait": "30m"}],
            "tasks": [
                {
                    "id": f"task-{n}",
                    "role": role["id"],
                    "title": {"en": f"Close the roads around the release, part {n}", "zh": "封锁泄漏点周边道路"},
                    "done_when": {
                        "en": "Every road into the area is closed and manned; scene command has been told by voice",
                        "zh": "进入该区域的道路均已封闭并有人值守；已口头告知现场指挥",
                    },
                    "deadlines": {"acknowledge": acknowledge, "start": "45m", "complete": "4h"},
                }
                for n, role in enumerate(owners)
            ],
        }
    )


def wordings(plans: Sequence[PlanDocument], departments: int) -> Wordings:
    """Write plans and a directory as they are published."""
    known = directory(departments)
    return Wordings(
        [(digest(each), each.id, each.version, canonical(each)) for each in plans], (digest(known), canonical(known))
    )


def others(count: int) -> list[PlanDocument]:
    """Make plans that answer something else: as in a real set, spread over the categories."""
    categories = list(Category)
    return [plan(f"other-{n}", event=f"Matter {n}", category=categories[n % len(categories)]) for n in range(count)]


def report() -> IncidentReport:
    """Report something that exactly one plan answers."""
    return IncidentReport(
        incident_id=uuid7(),
        status=Status.ACTUAL,
        message_type=MessageType.ALERT,
        categories=(Category.CBRNE,),
        event=EVENT,
        urgency=Urgency.IMMEDIATE,
        severity=Severity.SEVERE,
        certainty=Certainty.OBSERVED,
        headline="Chlorine leak at the water works",
        description="A valve of the chlorine store has failed; a cloud drifts towards the school.",
        areas=(Area(description="Riverside, between the bridge and the school"),),
        parameters={"wind_speed": 4.0, "substance": "chlorine"},
        reported_at=datetime.now(UTC),
        reported_by="bench",
    )


def sent_report(said: IncidentReport | None = None) -> Sent:
    """Write a report as it goes to the broker."""
    said = said or report()
    return _sent(said, INCIDENT, said.incident_id, said.status)


def answer(assignment_id: UUID, incident_id: UUID, who: str) -> Acknowledgement:
    """Commit to an order."""
    return Acknowledgement(
        assignment_id=assignment_id,
        incident_id=incident_id,
        status=Status.ACTUAL,
        department=who,
        answer=Answer.COMMIT,
        answered_at=datetime.now(UTC),
        by="Duty captain",
    )


def sent_answer(assignment_id: UUID, incident_id: UUID, who: str) -> Sent:
    """Write a department's answer as it goes to the broker."""
    said = answer(assignment_id, incident_id, who)
    return _sent(said, ACKNOWLEDGEMENT, incident_id, said.status)


def _sent(message: Any, kind: str, incident_id: UUID, status: Status) -> Sent:
    envelope = Envelope(uuid7(), kind, "bench", str(incident_id), datetime.now(UTC), status)
    return str(incident_id).encode(), write_value(message), envelope.headers()
