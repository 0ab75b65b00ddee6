"""Tasks that a duty officer adds to an activation: each joins the plan's own and lives alike, in a role made for it."""

from dataclasses import replace
from datetime import timedelta

from schemas.base import Text
from schemas.plan import STANDBY
from schemas.vocabulary import EscalationStep
from services.domain.incident import AddedTask
from services.domain.plan import Plan, Role, Rung, Task

LADDER = (
    Rung(EscalationStep.REMIND, timedelta(minutes=1)),
    Rung(EscalationStep.DEPUTY, timedelta(minutes=2)),
    Rung(EscalationStep.SUPERIOR, timedelta(minutes=3)),
    Rung(EscalationStep.DUTY_OFFICER, timedelta(minutes=3)),
)
"""Whom silence about an added task is taken to; nobody has time to write a ladder while an incident runs."""
ROLE_TITLE = Text(en="Task from the duty officer", zh="值班领导临时交办")


def widen(plan: Plan, added: tuple[AddedTask, ...]) -> Plan:
    """Give the plan as its activation obeys it: the frozen wording, and the tasks that were added."""
    if not added:
        return plan
    tasks, roles = dict(plan.tasks), dict(plan.roles)
    for each in added:
        tasks[each.id] = _task(plan, each)
        roles[each.id] = Role(each.id, ROLE_TITLE, each.departments, needed=len(each.departments))
    return replace(plan, tasks=tasks, roles=roles)


def _task(plan: Plan, added: AddedTask) -> Task:
    return Task(
        id=added.id,
        role=added.id,
        title=added.title,
        done_when=added.done_when,
        acknowledge=added.acknowledge,
        instructions=added.instructions,
        levels=frozenset({STANDBY, *plan.level_ids()}),  # for as long as the plan is in force, at whatever level
        start=added.start,
        complete=added.complete,
        read_back=added.read_back,
        ladder=LADDER,
    )


def next_name(plan: Plan) -> str:
    """Give the next added task a name that no task or role of the activation has, the same in every replay."""
    number = 1
    while (name := f"added-{number}") in plan.tasks or name in plan.roles:
        number += 1
    return name
