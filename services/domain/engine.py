"""The one way into the engine: `decide`. Live services, linter, simulator and replay all come through here."""

from collections.abc import Mapping
from datetime import datetime

from schemas.vocabulary import Status
from services.domain.answers import take_answer
from services.domain.commands import take_command
from services.domain.deadlines import pass_time
from services.domain.decision import Answered, Commanded, Decision, Event, Opening, Outcome, Reported, TimePassed
from services.domain.draft import Draft, Drafting
from services.domain.filling import fill
from services.domain.incident import Incident
from services.domain.informing import tell_of_changes
from services.domain.playbook import Playbook
from services.domain.reports import take_report


def decide(
    incident: Incident | None,
    event: Event,
    now: datetime,
    playbook: Playbook,
    openings: Mapping[str, Opening] | None = None,
    *,
    drafting: Drafting = Draft,
) -> Decision:
    """Decide what follows from one event.

    ``incident`` is the state before, None when nothing is known under the event's incident id. ``openings``
    holds the activations that a report, first or later, may join, by `services.domain.matching.group_key`. Returns
    the state after with every message and entry; expected refusals are outcomes, not exceptions. ``drafting`` is how
    the effects are written down, and has no say in what is decided. Raises ValueError for a naive ``now``.
    """
    if now.tzinfo is None:
        raise ValueError("now must carry its offset")
    if incident is None:
        if not isinstance(event, Reported):
            return Decision(Outcome.INVALID, "there is no such incident", None)
        report = event.report
        state = Incident(report.incident_id, report.status, report, reported_at=min(report.reported_at, now))
    else:
        state = incident
    status = _status(event)
    if status is not None and status is not state.status:
        # An exercise must never touch the record of a real incident, nor the other way round.
        return Decision(Outcome.INVALID, f"the incident is {state.status}, the message is {status}", incident)
    broker_at = None if isinstance(event, TimePassed) else event.broker_at
    draft = drafting(state, event_id=event.id, now=now, broker_at=broker_at, playbook=playbook)
    if isinstance(event, Reported):
        outcome, reason = take_report(draft, event.report, first=incident is None, openings=openings or {})
    elif isinstance(event, Commanded):
        outcome, reason = take_command(draft, event.command)
    elif isinstance(event, Answered):
        outcome, reason = take_answer(draft, event.acknowledgement)
    else:
        pass_time(draft)
        outcome, reason = Outcome.APPLIED, "deadlines were looked at"
    fill(draft)
    tell_of_changes(draft)
    return draft.decide(outcome, reason)


def _status(event: Event) -> Status | None:
    if isinstance(event, Reported):
        return event.report.status
    if isinstance(event, Commanded):
        return event.command.status
    return event.acknowledgement.status if isinstance(event, Answered) else None
