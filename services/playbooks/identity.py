"""What a document must have before it can be compiled at all: ids that are unique, roles that someone fills."""

from collections.abc import Iterable, Iterator

from schemas.plan import DirectoryDocument, PlanDocument
from services.playbooks.problem import NodePath, Problem
from services.playbooks.yaml_source import SourceMap


def plan_identity(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    """Find duplicate ids in any list of a plan, and roles with both or neither of department and quota.

    Tasks, reports and stand-down tasks share one namespace: each becomes a task of the compiled plan.
    """
    yield from _duplicates(source, "level", ((("levels", i), level.id) for i, level in enumerate(plan.levels)))
    yield from _duplicates(source, "role", ((("roles", i), role.id) for i, role in enumerate(plan.roles)))
    work = [
        *((("tasks", i), task.id) for i, task in enumerate(plan.tasks)),
        *((("reports", i), report.id) for i, report in enumerate(plan.reports)),
        *((("stand_down", i), task.id) for i, task in enumerate(plan.stand_down)),
    ]
    yield from _duplicates(source, "task", work)
    yield from _duplicates(source, "call", ((("calls", i), call.plan) for i, call in enumerate(plan.calls)), "plan")
    for index, role in enumerate(plan.roles):
        path = ("roles", index)
        if role.department is None and role.quota is None:
            yield source.problem(path, f'nobody fills role "{role.id}"', "write `department:` or `quota:`")
        if role.department is not None and role.quota is not None:
            mend = "keep the department, or the quota"
            yield source.problem(path, f'role "{role.id}" has a department and a quota', mend)


def directory_identity(directory: DirectoryDocument, source: SourceMap) -> Iterator[Problem]:
    """Find duplicate department ids."""
    ids = ((("departments", i), department.id) for i, department in enumerate(directory.departments))
    return _duplicates(source, "department", ids)


def _duplicates(
    source: SourceMap, what: str, ids: Iterable[tuple[NodePath, str]], key: str = "id"
) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for path, name in ids:
        if name in seen:
            first = f" (first in line {seen[name]})" if seen[name] else ""
            yield source.problem((*path, key), f'{what} "{name}" is written twice{first}', "give each its own id")
        else:
            seen[name] = source.line((*path, key))
