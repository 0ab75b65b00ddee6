"""What a report does: opens an incident, updates it, or cancels it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.incident import IncidentReport
from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, ActivationState, MessageType, Severity
from services.domain.activating import activate, call_plans, live_activation, open_activation, set_level, stand_down
from services.domain.changing import replace
from services.domain.decision import Opening, Outcome
from services.domain.draft import Draft
from services.domain.incident import Activation, Phase
from services.domain.matching import Answers, Verdict, choose_level, group_key

Openings = Mapping[str, Opening]

_MESSAGE = ("message_type", "reported_at", "reported_by", "alert", "references")
_SAYS_NOTHING: tuple[object, ...] = ((), {}, Severity.UNKNOWN)


def said_at(report: IncidentReport) -> datetime:
    """Say when the sender sent it; reports are ordered by this, not by when they arrive.

    Nothing was sent after it was taken in: a sender's fast clock must not make every later report look late.
    """
    return report.reported_at if report.alert is None else min(report.alert.sent, report.reported_at)


def take_report(draft: Draft, report: IncidentReport, *, first: bool, openings: Openings) -> tuple[Outcome, str]:
    """Apply one report to the incident and say what was decided and why."""
    if first:
        draft.note(Entry.REPORTED, occurred_at=said_at(report), by=report.reported_by, **_told(report))
    elif _is_repeat(draft.incident.report, report):
        return Outcome.REPEATED, "the same alert was taken in before"
    elif said_at(report) < said_at(draft.incident.report):
        draft.note(Entry.REPEATED, occurred_at=said_at(report), by=report.reported_by, **_told(report))
        return Outcome.LATE, "a newer report has already been taken in"
    else:
        draft.incident = replace(draft.incident, report=merge(draft.incident.report, report), cancelled=False)
    if report.message_type is MessageType.CANCEL:
        return _cancel(draft, report)
    if not first:
        draft.note(Entry.UPDATED, occurred_at=said_at(report), by=report.reported_by, **_told(report))
        _move_levels(draft)
    outcome, reason = _match(draft, openings)
    if first or outcome is not Outcome.NO_PLAN:
        return outcome, reason
    return Outcome.UPDATED, "no further plan answers it"


def _is_repeat(known: IncidentReport, news: IncidentReport) -> bool:
    """Say whether it is the alert last taken in, and says nothing new.

    A sender that reuses an alert's name for other news must still be heard: a real alert can't be lost to that.
    """
    if news.alert is None or (news.alert, news.message_type) != (known.alert, known.message_type):
        return False
    taken_in = {"reported_at": news.reported_at, "reported_by": news.reported_by}
    return merge(known, news).model_copy(update=taken_in) == known.model_copy(update=taken_in)


def heard(known: IncidentReport, news: IncidentReport) -> IncidentReport:
    """Say what is known once news has come: what was said before that changes nothing."""
    return known if said_at(news) < said_at(known) else merge(known, news)


def merge(known: IncidentReport, news: IncidentReport) -> IncidentReport:
    """Let newer news replace what it speaks of and keep what it is silent about.

    ``Unknown`` and what is empty say nothing, as a message that came over the wire carries them for every field
    it was not given; each measurement stands until it is measured again. Which message it was is the news's own.
    """
    told = {name: value for name, value in news if value is not None and value not in _SAYS_NOTHING}
    told["parameters"] = {**known.parameters, **news.parameters}
    told |= {name: getattr(news, name) for name in _MESSAGE}
    return known.model_copy(update=told)


def _told(report: IncidentReport) -> dict[str, Any]:
    return {
        "message_type": report.message_type.value,
        "event": report.event,
        "headline": report.headline,
        "severity": report.severity.value,
        "urgency": report.urgency.value,
        "certainty": report.certainty.value,
        "references": [reference.identifier for reference in report.references],
    }


def _cancel(draft: Draft, report: IncidentReport) -> tuple[Outcome, str]:
    draft.incident = replace(draft.incident, cancelled=True)
    reason = f"cancelled by {report.reported_by}"
    asked: list[str] = []
    for activation in list(draft.activations.values()):
        if activation.state is ActivationState.STOOD_DOWN:
            continue
        if activation.state is ActivationState.ACTIVATED and not draft.plan(activation).stand_down_on_cancel:
            asked.append(activation.plan)
        else:
            stand_down(draft, activation.id, reason=reason)
    draft.note(
        Entry.CANCEL_RECEIVED, occurred_at=said_at(report), by=report.reported_by, attention=bool(asked), asked=asked
    )
    if draft.incident.joined_to is not None:
        draft.note(
            Entry.CANCEL_RECEIVED,
            incident_id=draft.incident.joined_to,
            occurred_at=said_at(report),
            by=report.reported_by,
            attention=True,
            joined_by=str(draft.incident.id),
        )
    if asked:
        return Outcome.CANCELLED, f"the duty officer decides whether to stand down: {', '.join(asked)}"
    if draft.incident.phase in {Phase.OPEN, Phase.JOINED}:
        draft.incident = replace(draft.incident, phase=Phase.CLOSING)
    return Outcome.CANCELLED, "nothing stays in force"


def _move_levels(draft: Draft) -> None:
    for activation in list(draft.activations.values()):
        if activation.state is not ActivationState.ACTIVATED:
            continue
        chosen, why = choose_level(draft.plan(activation), draft.incident.report)
        if chosen.id != activation.level and not activation.overridden:
            set_level(draft, activation, chosen.id, reason=f"the report was updated; {why}")
            continue
        if chosen.id != activation.level:
            draft.note(Entry.LEVEL_SUGGESTED, activation=activation, attention=True, reason=why, level=chosen.id)
        call_plans(draft, activation)  # a call's own condition may have come to hold


def _match(draft: Draft, openings: Openings) -> tuple[Outcome, str]:
    report = draft.incident.report
    outcomes: list[tuple[Outcome, str]] = []
    for verdict in draft.playbook.published.matches(report):
        live = live_activation(draft, verdict.plan.id)
        if live is None:
            outcomes.append(_answer(draft, verdict, openings))
        elif _no_longer_in_doubt(draft, live, verdict):
            activate(draft, live, reason="the report leaves no doubt any more and the plan is automatic")
            outcomes.append((Outcome.ACTIVATED, f"{live.plan}: {'; '.join(verdict.reasons)}"))
    if not outcomes:
        if not _lives(draft):
            draft.note(Entry.NO_PLAN, attention=True, categories=[c.value for c in report.categories])
        return Outcome.NO_PLAN, "no published plan answers it"
    strongest = min(outcomes, key=lambda found: _STRENGTH.index(found[0]))[0]
    if strongest is not Outcome.JOINED:
        draft.incident = replace(draft.incident, phase=Phase.OPEN, closed_at=None)
    elif draft.incident.phase is Phase.OPEN and not _lives(draft):
        draft.incident = replace(draft.incident, phase=Phase.JOINED)
    return strongest, "; ".join(reason for _, reason in outcomes)


def _no_longer_in_doubt(draft: Draft, live: Activation, verdict: Verdict) -> bool:
    """Say whether an automatic plan waits only because an earlier report left its match in doubt."""
    waits = live.state is ActivationState.MONITORING and verdict.answers is Answers.YES
    stood_down = any(a.plan == live.plan and a.id != live.id for a in draft.activations.values())
    return waits and draft.plan(live).mode is ActivationMode.AUTOMATIC and not stood_down


def _lives(draft: Draft) -> bool:
    return any(activation.state is not ActivationState.STOOD_DOWN for activation in draft.activations.values())


_STRENGTH = (Outcome.ACTIVATED, Outcome.STANDBY, Outcome.AWAITING, Outcome.JOINED)
_OUTCOME_OF = {
    ActivationMode.AUTOMATIC: Outcome.ACTIVATED,
    ActivationMode.STANDBY: Outcome.STANDBY,
    ActivationMode.CONFIRM: Outcome.AWAITING,
}


def _answer(draft: Draft, verdict: Verdict, openings: Openings) -> tuple[Outcome, str]:
    plan = verdict.plan
    group = group_key(plan, draft.incident.report)
    opening = openings.get(group) if group is not None else None
    if opening is not None and opening.incident_id != draft.incident.id and _may_join(draft, opening):
        _join(draft, plan.id, opening)
        return Outcome.JOINED, f"{plan.id}: joins the response to incident {opening.incident_id}"
    mode, reason = plan.mode, "; ".join(verdict.reasons)
    if verdict.answers is Answers.UNSURE:
        mode = ActivationMode.CONFIRM
    elif any(activation.plan == plan.id for activation in draft.activations.values()):
        mode, reason = ActivationMode.CONFIRM, f"it was stood down before; {reason}"
    open_activation(draft, plan, mode, reason)
    return _OUTCOME_OF[mode], f"{plan.id}: {reason}"


def _may_join(draft: Draft, opening: Opening) -> bool:
    """Say whether the window is open still; what has joined a response stays with it for as long as that lasts."""
    return draft.now < opening.until or opening.incident_id == draft.incident.joined_to


def _join(draft: Draft, plan: str, opening: Opening) -> None:
    draft.incident = replace(draft.incident, joined_to=opening.incident_id)
    told = _told(draft.incident.report)
    draft.note(Entry.JOINED, plan=plan, joined_to=str(opening.incident_id))
    draft.note(Entry.JOINED, incident_id=opening.incident_id, plan=plan, joined_by=str(draft.incident.id), **told)
