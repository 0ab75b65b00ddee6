"""Conditions in drills: CEL over the state of the drill so far, compiled once, with the bounds of a plan's.

What a condition can read:

============  ==============  =====================================================================================
variable      type            value
============  ==============  =====================================================================================
elapsed       int             seconds since STARTEX, in the scenario's time
counts        int each        ``orders``, ``unanswered``, ``committed``, ``declined``, ``started``, ``completed``,
                              ``failed``, ``overdue``, ``escalated``, ``blocked``, of the whole drill
departments   map of counts   the same for each department: ``departments["police"].unanswered``
tasks         map of counts   the same for each task: ``tasks["evacuate"].completed``
levels        map of text     each plan's level now, ``""`` before one is chosen: ``levels["urban-flood"]``
activated     list of text    the plans in force
played        list of text    the injects played so far: ``"first-call" in played``
since         map of int      seconds since each inject was played, -1 before: ``since["first-call"]``
============  ==============  =====================================================================================

``orders`` counts all that were given, ``unanswered`` those open without a yes or no, ``blocked`` those with an open
obstacle; the others count what has happened so far, whatever came after. The result must be true or false.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cel

from services.domain.plan import ConditionError
from services.playbooks.cel_cost import Cost, cost_of, sizes_of
from services.playbooks.cel_source import SourceError, Token, check_bounds, free_names, tokens
from services.playbooks.conditions import FUNCTIONS, MACROS, TOO_MUCH
from services.playbooks.problem import did_you_mean

COUNTS = (
    "orders", "unanswered", "committed", "declined", "started", "completed", "failed", "overdue", "escalated",
    "blocked",
)  # fmt: skip
"""What is counted, of the whole drill and of each department and task."""

VARIABLES = ("elapsed", *COUNTS, "departments", "tasks", "levels", "activated", "played", "since")
_LISTS = ("departments", "tasks", "levels", "activated", "played", "since")
_SHOWN = 80
"""How many characters of a source an error quotes."""

State = Mapping[str, Any]
"""The variables of the table above."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a drill's conditions may name."""

    departments: tuple[str, ...]
    tasks: tuple[str, ...]
    plans: tuple[str, ...]
    injects: tuple[str, ...]

    def blank(self) -> dict[str, Any]:
        """Give the state before anything has happened; every map has all its keys."""
        zeros = dict.fromkeys(COUNTS, 0)
        return {
            "elapsed": 0,
            **zeros,
            "departments": {name: dict(zeros) for name in self.departments},
            "tasks": {name: dict(zeros) for name in self.tasks},
            "levels": dict.fromkeys(self.plans, ""),
            "activated": [],
            "played": [],
            "since": dict.fromkeys(self.injects, -1),
        }


@dataclass(frozen=True, slots=True)
class DrillCondition:
    """A compiled condition; two of the same source are equal."""

    source: str
    program: Any = field(compare=False, repr=False)
    cost: Cost = field(compare=False, repr=False)

    def holds(self, state: State) -> bool:
        """Decide it; raises `ConditionError` when it can't be decided or is neither true nor false."""
        if self.cost.loops and self.cost.is_too_much(sizes_of(state)):
            raise ConditionError(f"the condition `{self._shown()}` can't be decided: {TOO_MUCH}")
        try:
            result = self.program.execute(cel.Context(dict(state)))
        except BaseException as error:
            if not _is_the_evaluators(error):
                raise
            raise ConditionError(f"the condition `{self._shown()}` can't be decided: {_reason(error)}") from error
        if not isinstance(result, bool):
            kind = type(result).__name__
            raise ConditionError(f"the condition `{self._shown()}` gives a value of kind {kind}, not true or false")
        return result

    def _shown(self) -> str:
        source = " ".join(self.source.split())
        return source if len(source) <= _SHOWN else source[: _SHOWN - 3] + "..."


def compile_drill_condition(source: str, known: Known) -> DrillCondition:
    """Compile a CEL source; raises SourceError, with a message and a mend, for what could never be decided."""
    found = tokens(source)
    check_bounds(found)
    try:
        program = cel.compile(source)
    except BaseException as error:
        if not _is_the_evaluators(error):
            raise
        raise SourceError("the condition can't be read", "write it like `elapsed > 300 && unanswered > 0`") from error
    for name in free_names(found):
        if name not in VARIABLES:
            raise SourceError(f'unknown variable "{name}"', did_you_mean(name, VARIABLES))
    for name in program.functions():
        if name[:1].isalpha() and name not in (*FUNCTIONS, *MACROS):
            raise SourceError(f'unknown function "{name}"', did_you_mean(name, (*FUNCTIONS, *MACROS)))
    _check_keys(found, known)
    condition = DrillCondition(source, program, cost_of(found, _LISTS))
    try:
        condition.holds(known.blank())
    except ConditionError as error:
        raise SourceError(str(error), "compare like with like; the whole must be true or false") from error
    return condition


def _check_keys(found: Sequence[Token], known: Known) -> None:
    """Find misspelled names that a condition would only stumble on in the middle of the drill, or never."""
    maps = {
        "departments": ("department", known.departments),
        "tasks": ("task", known.tasks),
        "levels": ("plan", known.plans),
        "since": ("inject", known.injects),
    }
    for variable, key, after in _keys(found):
        what, names = maps.get(variable, ("", ()))
        if what and key not in names:
            raise SourceError(f'unknown {what} "{key}"', did_you_mean(key, names))
        if variable in ("departments", "tasks") and after is not None and after not in COUNTS:
            raise SourceError(f'nothing is counted as "{after}"', did_you_mean(after, COUNTS))
    for position, token in enumerate(found[:-2]):
        if token.kind == "string" and found[position + 1].text == "in":
            what, names = {"played": ("inject", known.injects), "activated": ("plan", known.plans)}.get(
                found[position + 2].text, ("", ())
            )
            key = token.text.strip("\"'")
            if what and key not in names:
                raise SourceError(f'unknown {what} "{key}"', did_you_mean(key, names))


def _keys(found: Sequence[Token]) -> Iterator[tuple[str, str, str | None]]:
    """Give (variable, key, member) of each ``variable["key"].member`` and ``variable.key.member``."""
    texts = [token.text for token in found]
    for position, token in enumerate(found):
        if token.kind != "name" or (position and texts[position - 1] == "."):
            continue
        rest = found[position + 1 : position + 6]
        if len(rest) >= 3 and rest[0].text == "[" and rest[1].kind == "string" and rest[2].text == "]":
            member = rest[4].text if len(rest) >= 5 and rest[3].text == "." else None
            yield token.text, rest[1].text.strip("\"'"), member
        elif len(rest) >= 2 and rest[0].text == "." and rest[1].kind == "name":
            member = rest[3].text if len(rest) >= 4 and rest[2].text == "." else None
            if rest[1].text not in MACROS:
                yield token.text, rest[1].text, member


def _is_the_evaluators(error: BaseException) -> bool:
    # pyo3 raises a Rust panic as its own class, which derives from BaseException and can't be imported.
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def _reason(error: BaseException) -> str:
    match error:
        case KeyError():
            return f'there is no "{error.args[0]}"'
        case ZeroDivisionError():
            return "it divides by zero"
        case TypeError():
            return "it mixes kinds of values, as in comparing text with a number"
        case _:
            return " ".join(str(error).split())[:200]
