"""A plan for one report: what its conditions say of it, which stays the same in every run, is found out once."""

from dataclasses import replace
from typing import TypeVar

from schemas.incident import IncidentReport
from services.domain.plan import Call, Condition, ConditionError, Level, Match, Plan, Task

Guarded = TypeVar("Guarded", Match, Level, Task, Call)


def settle_conditions(plan: Plan, report: IncidentReport) -> Plan:
    """Give a plan whose conditions remember what they said of a report; of another one they are asked as before."""

    def settled(guarded: Guarded) -> Guarded:
        return guarded if guarded.when is None else replace(guarded, when=_remembering(guarded.when, report))

    return replace(
        plan,
        match=settled(plan.match),
        levels=tuple(settled(level) for level in plan.levels),
        tasks={name: settled(task) for name, task in plan.tasks.items()},
        calls=tuple(settled(call) for call in plan.calls),
    )


def _remembering(condition: Condition, report: IncidentReport) -> Condition:
    said: dict[str | None, bool | str] = {}

    def holds(of: IncidentReport, level: str | None) -> bool:
        if of is not report:
            return condition.holds(of, level)
        if level not in said:
            try:
                said[level] = condition.holds(report, level)
            except ConditionError as error:
                said[level] = str(error)
        known = said[level]
        if isinstance(known, str):
            raise ConditionError(known)
        return known

    return Condition(condition.source, holds)
