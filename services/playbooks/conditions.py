"""Conditions in plans: CEL sources compiled to `services.domain.plan.Condition`.

What a condition can read:

==============  ================  ==================================================================================
variable        type              value
==============  ================  ==================================================================================
event           string            what the sender calls the event; ``""`` when absent
categories      list of string    CAP categories: Fire, Met, ...
severity        string            Extreme, Severe, Moderate, Minor, Unknown
urgency         string            Immediate, Expected, Future, Past, Unknown
certainty       string            Observed, Likely, Possible, Unlikely, Unknown
severity_rank   int               4 Extreme, 3 Severe, 2 Moderate, 1 Minor, 0 Unknown
urgency_rank    int               4 Immediate, 3 Expected, 2 Future, 1 Past, 0 Unknown
certainty_rank  int               4 Observed, 3 Likely, 2 Possible, 1 Unlikely, 0 Unknown
headline        string            ``""`` when absent
description     string            ``""`` when absent
areas           list of string    the areas' descriptions
geocodes        list of string    all codes of all areas, whatever their system
event_codes     list of string    all event codes, whatever their system
parameters      map               what the sender measured: numbers and text that is a number as double, else string
sender          string            the alert's sender, or who reported when there is no alert
hour            int               hour of ``reported_at``, 0 to 23, in the offset it was reported with
level           string            the current level; ``""`` before one is chosen
==============  ================  ==================================================================================

Text with a leading zero (``"006037"``) stays text: it is a code. A parameter that isn't a finite number or text
counts as not reported; ask with ``has(parameters.depth)``. Functions: `FUNCTIONS`. The result must be true or false.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import Any
from uuid import UUID

import cel

from schemas.incident import AlertIdentity, Area, IncidentReport
from schemas.vocabulary import Category, Certainty, MessageType, Severity, Status, Urgency
from services.domain.plan import Condition, ConditionError
from services.playbooks.cel_cost import Cost, Sizes, cost_of, sizes_of
from services.playbooks.cel_source import SourceError, Token, check_bounds, free_names, parameter_names, tokens
from services.playbooks.cel_words import check_words
from services.playbooks.problem import did_you_mean

VARIABLES = (
    "event", "categories", "severity", "urgency", "certainty", "severity_rank", "urgency_rank", "certainty_rank",
    "headline", "description", "areas", "geocodes", "event_codes", "parameters", "sender", "hour", "level",
)  # fmt: skip
"""Every name a condition can read; the table above describes them."""

MACROS = ("has", "all", "exists", "exists_one", "map", "filter")
FUNCTIONS = ("contains", "startsWith", "endsWith", "matches", "size", "int", "double", "string")
"""The functions a condition can call, beside the macros and the operators."""


MAX_PROBED = 6
"""Most parameters for which every mix of number and text is tried at load (2 ** 6 evaluations of about 1 us)."""

_RANKS = {word: rank for words in (Severity, Urgency, Certainty) for rank, word in enumerate(reversed(words))}
_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_FUNCTION_NAME = re.compile(r"[A-Za-z]\w*")
_SYNTAX = re.compile(r"ERROR: <input>:\d+:(\d+): (?:Syntax error: )?([^\n]*?)(?: expecting [^\n]*)?(?:\n|$)")
_SLIPS = {"and": "&&", "or": "||", "not": "!", "True": "true", "False": "false", "None": "null"}
_LOWERED = frozenset({"lowerAscii", "upperAscii", "lower", "upper", "toLower", "toUpper", "toLowerCase"})
_BAD_PATTERN, _PATTERN_MEND = "the pattern is not a regular expression", "mend the pattern"
_LISTS = ("categories", "areas", "geocodes", "event_codes", "parameters")
TOO_MUCH = "it would have to look at too much"
_SHOWN = 80
"""How many characters of a source an error quotes."""


@dataclass(frozen=True, slots=True)
class _Holds:
    """What decides a condition; two of the same source are equal, so that compiled plans can be compared."""

    source: str
    program: Any = field(compare=False)
    cost: Cost = field(compare=False)

    def __call__(self, report: IncidentReport, level: str | None) -> bool:
        context, sizes = _contexts.get(report, level)
        if self.cost.is_too_much(sizes):
            raise ConditionError(f"the condition `{self._shown()}` can't be decided: {TOO_MUCH}")
        try:
            result = self.program.execute(context)
        except BaseException as error:
            reason = _reason(error)
            if reason is None:
                raise
            raise ConditionError(f"the condition `{self._shown()}` can't be decided: {reason}") from error
        if not isinstance(result, bool):
            kind = type(result).__name__
            raise ConditionError(f"the condition `{self._shown()}` gives a value of kind {kind}, not true or false")
        return result

    def _shown(self) -> str:
        source = " ".join(self.source.split())
        return source if len(source) <= _SHOWN else source[: _SHOWN - 3] + "..."


class _Contexts:
    """The CEL context of the last report and level: building one costs more than ten evaluations.

    One entry, replaced as a whole: tasks and threads that alternate lose time, never correctness. The entry holds
    the report itself, so its identity can't be taken over by another one.
    """

    def __init__(self) -> None:
        self._last: tuple[IncidentReport, str | None, tuple[cel.Context, Sizes]] | None = None

    def get(self, report: IncidentReport, level: str | None) -> tuple[cel.Context, Sizes]:
        last = self._last
        if last is not None and last[0] is report and last[1] == level:
            return last[2]
        values = variables(report, level)
        context = (cel.Context(values), sizes_of(values))
        self._last = (report, level, context)
        return context


_contexts = _Contexts()


def variables(report: IncidentReport, level: str | None) -> dict[str, Any]:
    """Give the variables of a report and a level (None before one is chosen) as the table above describes them."""
    return {
        "event": report.event or "",
        "categories": [str(category) for category in report.categories],
        "severity": str(report.severity),
        "urgency": str(report.urgency),
        "certainty": str(report.certainty),
        "severity_rank": _RANKS[report.severity],
        "urgency_rank": _RANKS[report.urgency],
        "certainty_rank": _RANKS[report.certainty],
        "headline": report.headline or "",
        "description": report.description or "",
        "areas": [area.description for area in report.areas],
        "geocodes": [code for area in report.areas for codes in area.geocodes.values() for code in codes],
        "event_codes": [code for codes in report.event_codes.values() for code in codes],
        "parameters": dict(_parameters(report.parameters)),
        "sender": report.alert.sender if report.alert else report.reported_by,
        "hour": report.reported_at.hour,
        "level": level or "",
    }


def _parameters(reported: Mapping[str, str | float]) -> Iterator[tuple[str, str | float]]:
    for name, value in reported.items():
        is_number = not isinstance(value, str) or _NUMBER.fullmatch(value.strip())
        measured = float(value) if is_number else value
        if isinstance(measured, str) or math.isfinite(measured):
            yield name, measured


def compile_condition(source: str) -> Condition:
    """Compile a CEL source.

    Raises SourceError, with a message and a mend, when it can't be read, breaks a bound, names something unknown,
    or can't give true or false whatever the parameters are.
    """
    found = tokens(source)
    check_bounds(found)
    program = _program(source, found)
    _check_names(program, found)
    check_words(found)
    condition = Condition(source, _Holds(source, program, cost_of(found, _LISTS)))
    _probe(condition, parameter_names(found))
    return condition


def variables_of(source: str) -> frozenset[str]:
    """Give the variables that a source reads; it need not compile."""
    return frozenset(free_names(tokens(source))) & frozenset(VARIABLES)


def _program(source: str, found: tuple[Token, ...]) -> cel.Program:
    try:
        return cel.compile(source)
    except BaseException as error:
        if not isinstance(error, Exception) and not _is_panic(error):
            raise
        said = _SYNTAX.search(str(error))
        place = f" at character {said[1]}: {said[2]}" if said else ""
        raise SourceError(f"the condition can't be read{place}", _slip(found)) from error


def _slip(found: tuple[Token, ...]) -> str:
    """Find what a planner who writes another language most likely meant."""
    for position, token in enumerate(found):
        if token.kind == "name" and token.text in _SLIPS:
            return f"write {_SLIPS[token.text]} instead of {token.text}"
        around = "".join(other.text for other in found[max(position - 1, 0) : position + 2])
        if token.text == "=" and not re.search(r"[=!<>]=", around):
            return "write == to compare"
    return ""


def _check_names(program: cel.Program, found: tuple[Token, ...]) -> None:
    reported = set(program.variables())
    for name in free_names(found):
        if name in reported and name not in VARIABLES:
            mend = f"write {_SLIPS[name]}" if name in _SLIPS else did_you_mean(name, VARIABLES)
            mend = mend or f'for something the sender measured, write parameters["{name}"]'
            raise SourceError(f'unknown variable "{name}"', mend)
    for name in program.functions():
        if _FUNCTION_NAME.fullmatch(name) and name not in FUNCTIONS:
            if name in _LOWERED:
                raise SourceError(f'unknown function "{name}"', 'to ignore letter case, write matches("(?i)...")')
            raise SourceError(f'unknown function "{name}"', did_you_mean(name, (*FUNCTIONS, *MACROS)))


def _probe(condition: Condition, parameters: list[str]) -> None:
    """Try the condition on a made-up report, so that a wrong type is found now and not in an emergency.

    Whether a parameter is a number or text isn't known, so every mix is tried; one that is decided is enough.
    """
    if len(parameters) > MAX_PROBED:
        return
    refused: ConditionError | None = None
    kinds: tuple[str | float, ...] = (1.0, "x")
    for values in product(kinds, repeat=len(parameters)):
        try:
            condition.holds(_made_up(zip(parameters, values, strict=True)), None)
        except ConditionError as error:
            if isinstance(error.__cause__, LookupError | ArithmeticError):
                return
            refused = error
        else:
            return
    if refused is not None:
        mend = (
            _PATTERN_MEND if _BAD_PATTERN in str(refused) else "compare like with like; the whole must be true or false"
        )
        raise SourceError(str(refused), mend)


def _made_up(parameters: Iterable[tuple[str, str | float]]) -> IncidentReport:
    now = datetime(2000, 1, 1, tzinfo=UTC)
    return IncidentReport(
        incident_id=UUID("00000000-0000-7000-8000-000000000000"),
        status=Status.TEST,
        message_type=MessageType.ALERT,
        categories=(Category.OTHER,),
        event="x",
        severity=Severity.SEVERE,
        urgency=Urgency.IMMEDIATE,
        certainty=Certainty.LIKELY,
        headline="x",
        description="x",
        areas=(Area(description="x", geocodes={"x": ("x",)}),),
        event_codes={"x": ("x",)},
        parameters=dict(parameters),
        reported_at=now,
        reported_by="x",
        alert=AlertIdentity(sender="x", identifier="x", sent=now),
    )


def _is_panic(error: BaseException) -> bool:
    # pyo3 raises a Rust panic as its own class, which derives from BaseException and can't be imported.
    return type(error).__name__ == "PanicException"


def _reason(error: BaseException) -> str | None:
    """Say why an evaluation failed; None for what isn't the evaluation's doing, like an interrupt."""
    match error:
        case KeyError():
            return f'parameter "{error.args[0]}" was not reported'
        case IndexError():
            return "it reads an item that its list doesn't have"
        case ZeroDivisionError():
            return "it divides by zero"
        case OverflowError():
            return "a number grows too large"
        case TypeError():
            return "it mixes kinds of values, as in comparing text with a number"
        case Exception():
            return _first_sentence(str(error))
        case _ if _is_panic(error):
            return "the evaluator failed inside"
        case _:
            return None


def _first_sentence(said: str) -> str:
    """Keep what the evaluator found, without its advice and its drawing of a pattern."""
    found = " ".join(said.split(". Check ")[0].split())
    if " not a valid regex:" in found:
        return f"{_BAD_PATTERN}: " + found.rpartition("error: ")[2]
    return found[:200]
