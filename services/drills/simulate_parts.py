"""A response in parts that have nothing to do with one another: tasks that wait for each other, and for no others.

What a department does about a task depends on seed, department and task alone, and what the engine decides about a
task on its activation, its own orders and those of the tasks it waits for. The activations hang on the report and the
duty officer, not on the departments. So a response is the sum of its parts, each played by the engine with a plan
that has only these tasks; and where a candidate is left out, only the parts that could call it are another response.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.domain.matching import PlanIndex
from services.domain.plan import Plan
from services.domain.playbook import Playbook
from services.drills.simulate import Setting


@dataclass(frozen=True, slots=True)
class Part:
    """Some tasks of one plan, with the setting in which there are no others. ``roles`` own the tasks."""

    plan: str
    tasks: frozenset[str]
    roles: frozenset[str]
    setting: Setting


def parts_of(setting: Setting) -> tuple[Part, ...]:
    """Take a response apart; only the plans that the simulated one can call take part."""
    plans = {plan.id: plan for plan in _called(setting)}
    return tuple(
        Part(plan.id, tasks, frozenset(plan.tasks[name].role for name in tasks), _cut(setting, plans, plan.id, tasks))
        for plan in plans.values()
        for tasks in _bound_together(plan)
    )


def with_plans(setting: Setting, plans: list[Plan]) -> Setting:
    """Give a setting with other wordings of its plans; they keep their digests, as nothing else may change."""
    by_id = {plan.id: plan for plan in plans}
    playbook = Playbook(PlanIndex(plans), {plan.digest: plan for plan in plans}, setting.playbook.directory)
    return replace(setting, plan=by_id[setting.plan.id], playbook=playbook)


def _called(setting: Setting) -> list[Plan]:
    """List the plan and those it calls, those they call, and so on."""
    known = setting.playbook.published.by_id
    found = {setting.plan.id: setting.plan}
    waiting = [setting.plan]
    while waiting:
        for call in waiting.pop().calls:
            if call.plan in known and call.plan not in found:
                found[call.plan] = known[call.plan]
                waiting.append(known[call.plan])
    return list(found.values())


def _bound_together(plan: Plan) -> Iterator[frozenset[str]]:
    """Give the sets of tasks that are bound together by waiting for one another, in the order of the plan."""
    bound: dict[str, set[str]] = {}
    for task in plan.tasks.values():
        together = {task.id}
        for name in (task.id, *task.after):
            together |= bound.get(name, {name})
        for name in together:
            bound[name] = together
    yield from dict.fromkeys(frozenset(bound[task]) for task in plan.tasks)


def _cut(setting: Setting, plans: dict[str, Plan], kept: str, tasks: frozenset[str]) -> Setting:
    return with_plans(
        setting,
        [
            replace(plan, tasks={name: task for name, task in plan.tasks.items() if plan.id == kept and name in tasks})
            for plan in plans.values()
        ],
    )
