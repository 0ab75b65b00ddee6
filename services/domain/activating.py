"""Putting plans into force, on standby, up for confirmation; changing their level; standing them down."""

from datetime import datetime
from uuid import UUID

from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, ActivationState
from services.domain.changing import replace
from services.domain.deadlines import CONFIRM_WITHIN
from services.domain.decision import Opening
from services.domain.draft import Draft
from services.domain.filling import undecided_or_holds
from services.domain.incident import Activation
from services.domain.matching import choose_level, group_key
from services.domain.plan import Plan


def live_activation(draft: Draft, plan_id: str) -> Activation | None:
    """Find the plan's activation that has not been stood down."""
    for activation in draft.activations.values():
        if activation.plan == plan_id and activation.state is not ActivationState.STOOD_DOWN:
            return activation
    return None


def open_activation(
    draft: Draft, plan: Plan, mode: ActivationMode, reason: str, *, caller: Activation | None = None
) -> Activation:
    """Begin a plan's activation in the given mode, and claim its group for later reports to join."""
    group = group_key(plan, draft.incident.report)
    activation = Activation(
        id=draft.new_id(),
        plan=plan.id,
        version=plan.version,
        digest=plan.digest,
        state=ActivationState.MONITORING,
        matched_at=draft.now,
        group_key=group,
        parent_id=caller.id if caller else None,
    )
    draft.activations[activation.id] = activation
    draft.note(
        Entry.PLAN_MATCHED,
        activation=activation,
        reason=reason,
        attention=mode is not ActivationMode.AUTOMATIC,
        version=plan.version,
        digest=plan.digest,
        mode=mode.value,
    )
    if group is not None and plan.match.once is not None:
        until = draft.now + plan.match.once.window
        draft.opened[group] = Opening(activation.id, draft.incident.id, until)
    if mode is ActivationMode.AUTOMATIC:
        activate(draft, activation, reason=f"called by {caller.plan}" if caller else "the plan is automatic")
    elif mode is ActivationMode.STANDBY:
        draft.activations[activation.id] = replace(activation, state=ActivationState.WARNING)
        draft.note(Entry.STANDBY, activation=activation)
    else:
        due = draft.now + (plan.confirm_within or CONFIRM_WITHIN)
        draft.activations[activation.id] = replace(activation, next_due_at=due)
    return draft.activations[activation.id]


def activate(
    draft: Draft,
    activation: Activation,
    *,
    reason: str,
    level: str | None = None,
    by: str | None = None,
    occurred_at: datetime | None = None,
) -> None:
    """Put an activation into force at ``level``, or at the one its conditions choose, and call the plans it calls."""
    plan = draft.plan(activation)
    chosen, why = choose_level(plan, draft.incident.report)
    draft.activations[activation.id] = active = replace(
        activation,
        state=ActivationState.ACTIVATED,
        level=level or chosen.id,
        overridden=level is not None,
        activated_at=draft.now,
        next_due_at=None,
    )
    draft.note(
        Entry.ACTIVATED,
        activation=active,
        by=by,
        reason=reason,
        occurred_at=occurred_at,
        level=active.level,
        why=why if level is None else "chosen by the duty officer",
    )
    call_plans(draft, active)


def call_plans(draft: Draft, caller: Activation) -> None:
    """Put into force what an activated plan calls and has not called yet; where that can't be done, say so.

    A called plan that only waits or stands by is raised; one that a person stood down before asks a person again.
    """
    for call in draft.plan(caller).calls:
        known = [activation for activation in draft.activations.values() if activation.plan == call.plan]
        if any(activation.parent_id == caller.id for activation in known):
            continue
        if call.when is not None and not undecided_or_holds(call.when, draft, caller):
            continue
        live = live_activation(draft, call.plan)
        called = draft.playbook.published.by_id.get(call.plan)
        reason = f"called by {caller.plan}"
        if live is not None:
            if live.state is not ActivationState.ACTIVATED:
                activate(draft, live, reason=reason)
        elif called is None:
            draft.note(
                Entry.NO_PLAN,
                activation=caller,
                attention=True,
                reason=f"{reason}, but not published",
                called=call.plan,
            )
        else:
            mode = ActivationMode.CONFIRM if known else ActivationMode.AUTOMATIC
            open_activation(draft, called, mode, reason, caller=caller)


def set_level(
    draft: Draft,
    activation: Activation,
    level: str,
    *,
    reason: str,
    by: str | None = None,
    occurred_at: datetime | None = None,
) -> None:
    """Move an activation to another level; `fill` then issues what is new and takes back what is void.

    Plans that are called at the new level only are called now.
    """
    draft.note(
        Entry.LEVEL_CHANGED,
        activation=activation,
        by=by,
        reason=reason,
        occurred_at=occurred_at,
        before=activation.level,
        level=level,
    )
    draft.activations[activation.id] = moved = replace(
        activation, level=level, overridden=by is not None, level_changed_at=draft.now
    )
    call_plans(draft, moved)


def stand_down(
    draft: Draft,
    activation_id: UUID,
    *,
    reason: str,
    by: str | None = None,
    occurred_at: datetime | None = None,
) -> None:
    """End an activation; `fill` then takes back its open assignments and issues its stand-down tasks."""
    activation = draft.activations[activation_id]
    draft.note(Entry.STOOD_DOWN, activation=activation, by=by, reason=reason, occurred_at=occurred_at)
    draft.activations[activation_id] = replace(
        activation, state=ActivationState.STOOD_DOWN, stood_down_at=draft.now, next_due_at=None
    )
    if activation.group_key is not None:
        draft.released.append(activation.group_key)
