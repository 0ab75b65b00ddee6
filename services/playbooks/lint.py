"""Lint: everything that can be known to be wrong with plans before an emergency tries them."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import chain, islice

from schemas.plan import DirectoryDocument, PlanDocument
from services.playbooks.cel_source import SourceError
from services.playbooks.conditions import compile_condition
from services.playbooks.directory import directory_problems
from services.playbooks.identity import plan_identity
from services.playbooks.plans import written_conditions
from services.playbooks.problem import Gravity, Problem, did_you_mean
from services.playbooks.rules.cycles import find_cycles
from services.playbooks.rules.levels import check_activation, check_level_references, check_levels
from services.playbooks.rules.roles import check_departments, check_role_references, check_roles
from services.playbooks.rules.tasks import check_deadlines, check_dependencies, check_ladders
from services.playbooks.rules.texts import check_texts
from services.playbooks.yaml_source import SourceMap

MOST_FOUND = 500
"""Most problems that are looked for in one plan: nobody mends more at once, and each takes a search."""
_RULES = (
    plan_identity,
    check_levels,
    check_activation,
    check_level_references,
    check_roles,
    check_role_references,
    check_deadlines,
    check_ladders,
    check_dependencies,
    check_texts,
)


def lint(
    plans: Sequence[PlanDocument],
    directory: DirectoryDocument,
    today: date,
    sources: Sequence[SourceMap] | None = None,
    directory_source: SourceMap | None = None,
) -> list[Problem]:
    """Check plans by themselves, against the directory, and against each other.

    ``today`` decides whether a plan's review is overdue. ``sources``, in the order of ``plans``, and
    ``directory_source`` give problems their files and lines; without them a plan's id stands for its file.
    Errors keep plans from being published; warnings don't.
    """
    sources = sources or [SourceMap(plan.id) for plan in plans]
    directory_source = directory_source or SourceMap("departments")
    known = [department.id for department in directory.departments]
    problems = [*directory_problems(directory, directory_source), *check_texts(directory, directory_source)]
    for plan, source in zip(plans, sources, strict=True):
        rules = (problem for rule in _RULES for problem in rule(plan, source))
        departments = check_departments(plan, known, source)
        found = list(islice(chain(rules, _check_conditions(plan, source), departments), MOST_FOUND))
        if plan.review_by < today:
            message = f"the review was due on {plan.review_by}"
            found.append(source.problem(("review_by",), message, "review the plan", Gravity.WARNING))
        problems += sorted(found, key=lambda problem: problem.line)
    return [*problems, *_check_calls(plans, sources)]


def _check_conditions(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    for path, written in written_conditions(plan):
        try:
            compile_condition(written)
        except SourceError as error:
            yield source.problem(path, error.message, error.mend)


def _check_calls(plans: Sequence[PlanDocument], sources: Sequence[SourceMap]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for position, (plan, source) in enumerate(zip(plans, sources, strict=True)):
        if plan.id in first:
            message = f'plan "{plan.id}" is already in {sources[first[plan.id]].file}'
            yield source.problem(("id",), message, "give each plan its own id")
        first.setdefault(plan.id, position)
    for plan, source in zip(plans, sources, strict=True):
        for index, call in enumerate(plan.calls):
            if call.plan not in first:
                mend = did_you_mean(call.plan, list(first))
                yield source.problem(("calls", index, "plan"), f'unknown plan "{call.plan}"', mend)
    for cycle in find_cycles({plan.id: [call.plan for call in plan.calls] for plan in plans}):
        chain = " -> ".join((*cycle, cycle[0]))
        yield sources[first[cycle[0]]].problem(("calls",), f"plans call each other: {chain}", "delete one of the calls")
