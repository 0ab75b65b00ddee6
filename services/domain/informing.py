"""Telling departments what is new about orders they hold: other news, an officer's word, an answer after all."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from schemas.incident import IncidentReport
from schemas.timeline import Entry
from schemas.vocabulary import EscalationStep, Notice
from services.domain.draft import Draft
from services.domain.incident import Activation, Assignment

LONGEST = 500
"""Characters of a change that are told; the message itself carries the whole picture."""


def inform(
    draft: Draft,
    assignments: Sequence[Assignment],
    reason: str,
    *,
    activation: Activation | None = None,
    by: str | None = None,
    occurred_at: datetime | None = None,
    changed: Iterable[str] = (),
) -> None:
    """Send one message about each of these orders, and put one entry on the record that names them all."""
    draft.note(
        Entry.INFORMED,
        activation=activation,
        by=by,
        reason=reason,
        occurred_at=occurred_at,
        departments=list(dict.fromkeys(assignment.department for assignment in assignments)),
        assignments=[str(assignment.id) for assignment in assignments],
        changed=list(changed),
    )
    for assignment in assignments:
        draft.send(assignment, Notice.INFORMED, reason=reason)


def tell_of_changes(draft: Draft) -> None:
    """Tell those who hold an order what this event changed under it: the level, how bad it is, what it is, or where.

    Once for each order, however much changed, and only where the words really are other ones: a flood of updates that
    say the same again tells nobody anything.
    """
    news = _news(draft.before.report, draft.incident.report)
    for activation in draft.activations.values():
        told = dict(news)
        before = draft.before.activations.get(activation.id)
        if before is not None and activation.in_force and before.level != activation.level:
            told["level"] = f"level {before.level or 'standby'} → {activation.level}"
        if told:
            held = [
                assignment
                for id_, known in draft.before.assignments.items()
                if known.activation_id == activation.id and (assignment := draft.assignments[id_]).state.is_open
            ]
            if held:
                inform(draft, held, "; ".join(told.values()), activation=activation, changed=told)


def _news(before: IncidentReport, after: IncidentReport) -> dict[str, str]:
    if before is after:
        return {}
    then, now = ([area.description for area in report.areas] for report in (before, after))
    told = {}
    if before.severity is not after.severity:
        told["severity"] = f"severity {before.severity} → {after.severity}"
    if before.event != after.event:
        told["event"] = f"event {before.event or '–'} → {after.event}"
    if then != now:
        told["areas"] = f"areas {', '.join(then) or '–'} → {', '.join(now)}"
    return {name: _shortened(text) for name, text in told.items()}


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def tell_superior(draft: Draft, before: Assignment, reason: str) -> None:
    """Tell the superior who got a copy of a silent order that what was missed has been settled after all."""
    after = draft.assignments[before.id]
    if before.ladder is None or after.unmet(before.ladder):
        return
    climbed = draft.task(before).ladder[: before.rung]
    if not any(rung.step is EscalationStep.SUPERIOR for rung in climbed):
        return
    department = draft.playbook.directory.departments.get(before.department)
    to = department.superior.department if department else None
    if to is None:
        return
    draft.note(
        Entry.INFORMED,
        assignment=after,
        reason=reason,
        departments=[to],
        assignments=[str(after.id)],
        changed=["answer"],
    )
    draft.send(after, Notice.INFORMED, reason=reason, to=to, addressed_to="superior")
