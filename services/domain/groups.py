"""Which groups of reports events may open, join or leave, said before they are decided: so that these can be locked."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from schemas.command import Activate
from schemas.vocabulary import ActivationMode, ActivationState
from services.domain.decision import Answered, Commanded, Reported
from services.domain.incident import Activation, Incident
from services.domain.matching import group_key
from services.domain.plan import Plan
from services.domain.playbook import Playbook
from services.domain.reports import heard


def groups_at_stake(
    events: Sequence[Reported | Commanded | Answered], known: Mapping[UUID, Incident], playbook: Playbook
) -> set[str]:
    """Name every group that deciding these events one after the other may open, join or leave, and perhaps some more.

    An answer does neither. A report may open what answers it as the incident then stands, and what this calls where it
    is automatic; a command what it asks for and what this calls. Both may open what is called by what is in force, and
    leave what is in force.
    """
    keys: set[str] = set()
    latest = {id_: incident.report for id_, incident in known.items()}
    for event in events:
        if isinstance(event, Answered):
            continue
        if isinstance(event, Reported):
            id_ = event.report.incident_id
            latest[id_] = heard(latest[id_], event.report) if id_ in latest else event.report
        else:
            id_ = event.command.incident_id
        if (report := latest.get(id_)) is None:
            continue
        answering = playbook.published.candidates(report)
        calling = [plan for plan in answering if plan.mode is ActivationMode.AUTOMATIC]
        for activation in _in_force(known.get(id_)):
            calling.append(playbook.frozen[activation.digest])
            keys |= {activation.group_key} if activation.group_key else set()
        if isinstance(event, Commanded) and isinstance(event.command, Activate):
            calling += _published(playbook, [event.command.plan])
        begun = (*answering, *_with_called(calling, playbook))
        keys |= {key for plan in begun if (key := group_key(plan, report)) is not None}
    return keys


def _in_force(incident: Incident | None) -> list[Activation]:
    activations = incident.activations.values() if incident else ()
    return [activation for activation in activations if activation.state is not ActivationState.STOOD_DOWN]


def _with_called(calling: Iterable[Plan], playbook: Playbook) -> Iterable[Plan]:
    """Add to plans all that they call, and these."""
    plans: dict[str, Plan] = {}
    waiting = list(calling)
    while waiting:
        plan = waiting.pop()
        if plan.digest not in plans:
            plans[plan.digest] = plan
            waiting += _published(playbook, [call.plan for call in plan.calls])
    return plans.values()


def _published(playbook: Playbook, ids: Iterable[str]) -> list[Plan]:
    return [plan for id_ in ids if (plan := playbook.published.by_id.get(id_)) is not None]
