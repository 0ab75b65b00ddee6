"""Rules about levels, and about what a match leads to."""

from collections.abc import Iterator

from schemas.plan import STANDBY, PlanDocument
from schemas.vocabulary import ActivationMode
from services.playbooks.cel_source import tokens
from services.playbooks.cel_words import texts_compared
from services.playbooks.conditions import variables_of
from services.playbooks.plans import written_conditions
from services.playbooks.problem import Gravity, NodePath, Problem, did_you_mean
from services.playbooks.yaml_source import SourceMap

_SEVERITY = frozenset({"severity", "severity_rank"})


def check_levels(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    """Check that one level always applies, and that none is severity under another name."""
    last = len(plan.levels) - 1
    for index, level in enumerate(plan.levels):
        path = ("levels", index)
        if level.id == STANDBY:
            yield source.problem((*path, "id"), f'"{STANDBY}" is the standby state, not a level', "rename the level")
        if index == last and level.when is not None:
            message = f'the last level "{level.id}" has a condition, so an incident could fit no level'
            yield source.problem((*path, "when"), message, "delete its `when:`")
        if index != last and level.when is None:
            message = f'level "{level.id}" always holds, so no level below it is ever chosen'
            yield source.problem(path, message, "write `when:`, or move it to the end")
        if level.when is None:
            continue
        used = variables_of(level.when)
        if not used and index != last:
            message = "the condition reads nothing from the incident, so it never changes"
            yield source.problem((*path, "when"), message, "write what calls for this level")
        elif used and used <= _SEVERITY:
            message = "a level is a response decision, never derived from severity alone"
            mend = "use what calls for the response as well: urgency, certainty, areas, parameters"
            yield source.problem((*path, "when"), message, mend)


def check_activation(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    """Check that the activation mode has what it needs."""
    rule = plan.activation
    if rule.mode is ActivationMode.CONFIRM and rule.confirm_within is None:
        message = "mode confirm has no time limit for the decision"
        yield source.problem(("activation",), message, "write `confirm_within:`, like 10m")
    if rule.mode is not ActivationMode.CONFIRM and rule.confirm_within is not None:
        message = f"confirm_within has no effect in mode {rule.mode}"
        mend = "delete it, or write `mode: confirm`"
        yield source.problem(("activation", "confirm_within"), message, mend, Gravity.WARNING)
    if rule.mode is ActivationMode.STANDBY and not any(STANDBY in (task.levels or ()) for task in plan.tasks):
        message = "mode standby has no task to do"
        yield source.problem(("activation", "mode"), message, f"give a task `levels: [{STANDBY}]`")


def check_level_references(plan: PlanDocument, source: SourceMap) -> Iterator[Problem]:
    """Check that the levels of tasks, reports and conditions exist, and that nothing is issued nowhere."""
    for place, written in written_conditions(plan):
        for name in texts_compared("level", tokens(written)):
            if name and name not in (level.id for level in plan.levels):
                mend = did_you_mean(name, [level.id for level in plan.levels])
                yield source.problem(place, f'the plan has no level "{name}"', mend)
    known = (*(level.id for level in plan.levels), STANDBY)
    for name in ("tasks", "reports", "stand_down"):
        for index, item in enumerate(getattr(plan, name)):
            path: NodePath = (name, index, "levels")
            if item.levels == ():
                mend = "name its levels, or delete `levels:` for every level"
                yield source.problem(path, f'"{item.id}" is issued at no level', mend)
            seen: set[str] = set()
            for position, level in enumerate(item.levels or ()):
                if level not in known:
                    mend = did_you_mean(level, known)
                    yield source.problem((*path, position), f'unknown level "{level}"', mend)
                elif level in seen:
                    yield source.problem((*path, position), f'level "{level}" is written twice', "keep one")
                seen.add(level)
