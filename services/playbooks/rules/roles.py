"""Rules about roles: who fills them, and that each has something to do."""

from collections.abc import Iterator, Sequence

from schemas.plan import PlanDocument, Quota, RoleRule
from services.playbooks.problem import Gravity, NodePath, Problem, did_you_mean
from services.playbooks.yaml_source import SourceMap


def check_roles(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    """Check deputies and quotas, and find roles that nobody uses."""
    used = {item.role for items in (plan.tasks, plan.reports, plan.stand_down) for item in items}
    for index, role in enumerate(plan.roles):
        path: NodePath = ("roles", index)
        yield from _check_deputies(role, path, source)
        if role.quota is not None:
            yield from _check_quota(role.quota, (*path, "quota"), source)
        if role.id not in used:
            message = f'role "{role.id}" is used by no task'
            yield source.problem(path, message, "give it a task, or delete it", Gravity.WARNING)


def check_departments(plan: PlanDocument, known: Sequence[str], source: SourceMap) -> Iterator[Problem]:
    """Check that every department a plan names is in the directory; ``known`` lists the directory's ids."""
    named: list[tuple[NodePath, str]] = [(("owner",), plan.owner)]
    for index, role in enumerate(plan.roles):
        path: NodePath = ("roles", index)
        if role.department is not None:
            named.append(((*path, "department"), role.department))
        named += [((*path, "deputies", position), name) for position, name in enumerate(role.deputies)]
        if role.quota is not None:
            named += [((*path, "quota", "any_of", position), name) for position, name in enumerate(role.quota.any_of)]
    there = frozenset(known)
    for path, name in named:
        if name not in there:
            mend = did_you_mean(name, known) or "add it to departments.yaml"
            yield source.problem(path, f'unknown department "{name}"', mend)


def check_role_references(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    """Check that every task and report names a role, and that one department answers for each report."""
    roles = {role.id: role for role in plan.roles}
    for name in ("tasks", "reports", "stand_down"):
        for index, item in enumerate(getattr(plan, name)):
            if item.role not in roles:
                mend = did_you_mean(item.role, list(roles))
                yield source.problem((name, index, "role"), f'unknown role "{item.role}"', mend)
            elif name == "reports" and roles[item.role].department is None:
                message = f'nobody in particular answers for this report: role "{item.role}" has no department'
                yield source.problem((name, index, "role"), message, "give the report a role with `department:`")


def _check_deputies(role: RoleRule, path: NodePath, source: SourceMap) -> Iterator[Problem]:
    if role.quota is not None and role.deputies:
        mend = "add them to the quota's any_of"
        yield source.problem((*path, "deputies"), "a quota has no deputies: it calls the next by itself", mend)
    seen: set[str] = set()
    for position, deputy in enumerate(role.deputies):
        place = (*path, "deputies", position)
        if deputy == role.department:
            yield source.problem(place, f'"{deputy}" is its own deputy', "name another department")
        elif deputy in seen:
            yield source.problem(place, f'deputy "{deputy}" is written twice', "keep one")
        seen.add(deputy)


def _check_quota(quota: Quota, path: NodePath, source: SourceMap) -> Iterator[Problem]:
    seen: set[str] = set()
    for position, name in enumerate(quota.any_of):
        if name in seen:
            yield source.problem((*path, "any_of", position), f'"{name}" is written twice', "keep one")
        seen.add(name)
    available = len(seen)
    if quota.needed > available:
        message = f"{quota.needed} are needed, but only {available} can be called"
        yield source.problem((*path, "needed"), message, "lower it, or name more in any_of")
