"""From a strict tree to a document of `schemas`: pydantic's findings become problems with lines and mends."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.base import DEPARTMENT_PATTERN, Document
from services.playbooks.problem import NodePath, PlaybookError, Problem, did_you_mean
from services.playbooks.yaml_source import SourceMap

D = TypeVar("D", bound=Document)

MAX_EXPLAINED = 200
"""Most mistakes of a document that are explained; each takes a search for the word that was meant."""
MAX_DIGITS = 6
"""Most digits in one part of a duration; more overflows a timedelta, and no plan waits a thousand years."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONG_NUMBER = re.compile(rf"\d{{{MAX_DIGITS + 1}}}", re.ASCII)
_BOOLEANS = ("true", "false")

_DATE_MEND = "write year-month-day, like 2027-03-31"
_SAID = {
    "string_pattern_mismatch": ("{shown} is not a level", "write up to 20 letters, digits, - or _, like II or orange"),
    "int_parsing": ("{shown} is not a whole number", "write digits only, like 3"),
    "int_from_float": ("{shown} is not a whole number", "write digits only, like 3"),
    "int_type": ("{kind} stands where a whole number belongs", "write digits only, like 3"),
    "greater_than_equal": ("{shown} is too small", "write at least {ge}"),
    "less_than_equal": ("{shown} is too large", "write at most {le}"),
    "string_too_long": ("is {length} characters long", "write at most {max_length}"),
    "string_too_short": ("{shown} is too short", "write at least {min_length} characters"),
    "too_short": ("the list is empty", "write at least one item"),
    "tuple_type": ("{shown} is not a list", "write a list: `[a, b]`, or lines that begin with `- `"),
    "model_type": ("{shown} is not a map", "write `key: value` lines below it"),
    "string_type": ("{kind} stands where a text belongs", "write one text"),
    "date_type": ("{kind} stands where a date belongs", _DATE_MEND),
    "date_parsing": ("{shown} is not a date", _DATE_MEND),
    "date_from_datetime_parsing": ("{shown} is not a date", _DATE_MEND),
}
"""Pydantic's error types in a planner's words; braces take pydantic's context and the value."""


def validate(model: type[D], tree: dict[str, Any], source: SourceMap) -> D:
    """Make a document of a tree; PlaybookError with every problem when it isn't one."""
    problems = list(_loose_scalars(model, tree, (), source))
    found = {problem.path for problem in problems}
    try:
        document = model.model_validate(tree) if not problems else None
    except ValidationError as error:
        problems += _explain_all(model, source, error)
    except OverflowError:
        problems.append(source.problem((), "a number is too large"))
    if problems or document is None:
        raise PlaybookError(_with_the_rest(model, tree, source, problems, found))
    return document


def _with_the_rest(
    model: type[D], tree: dict[str, Any], source: SourceMap, problems: list[Problem], found: set[str]
) -> list[Problem]:
    """Add what pydantic finds beside the loose scalars, so that one run shows every mistake."""
    if not found:
        return problems
    try:
        model.model_validate(tree)
    except ValidationError as error:
        return problems + [more for more in _explain_all(model, source, error) if more.path not in found]
    except OverflowError:
        return problems
    return problems


def _loose_scalars(annotation: Any, value: Any, path: NodePath, source: SourceMap) -> Iterator[Problem]:
    """Find what pydantic's lax mode would accept and a planner wouldn't expect: yes/no, timestamps as dates."""
    kinds = list(_flat(annotation))
    if isinstance(value, dict):
        for model in kinds:
            if isinstance(model, type) and issubclass(model, BaseModel):
                for name, info in model.model_fields.items():
                    if name in value:
                        yield from _loose_scalars(info.annotation, value[name], (*path, name), source)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _loose_scalars(annotation, inner, (*path, index), source)
    elif isinstance(value, str):
        if bool in kinds and value not in _BOOLEANS:
            yield source.problem(path, f"{_shown(value)} is not a yes-or-no value", "write true or false")
        if date in kinds and not _DATE.fullmatch(value):
            yield source.problem(path, f"{_shown(value)} is not a date", _DATE_MEND)
        if timedelta in kinds and _LONG_NUMBER.search(value):
            yield source.problem(path, f"{_shown(value)} is too long a time", "write a duration like 1h30m or 180d")


def _flat(annotation: Any) -> Iterator[Any]:
    """List an annotation and everything inside its unions, tuples and Annotated."""
    yield annotation
    for inner in get_args(annotation):
        yield from _flat(inner)


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [kind for kind in _flat(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _fields(model: type[BaseModel], path: NodePath) -> list[str]:
    """List the keys that the map at a path may have."""
    current = [model]
    for step in path:
        if isinstance(step, str):
            fields = [kind.model_fields[step] for kind in current if step in kind.model_fields]
            current = [inner for info in fields for inner in _models(info.annotation)]
    return [name for kind in current for name in kind.model_fields]


def _explain_all(model: type[BaseModel], source: SourceMap, error: ValidationError) -> list[Problem]:
    details = error.errors(include_url=False)
    # A list whose items are all wrong counts as empty for pydantic; its items are reported already.
    said = [detail for detail in details if detail["type"] != "too_short" or not detail["input"]]
    shown = [_explain(model, source, detail) for detail in said[:MAX_EXPLAINED]]
    if len(said) > MAX_EXPLAINED:
        more = f"{len(said) - MAX_EXPLAINED} more mistakes are not listed"
        shown.append(source.problem(said[MAX_EXPLAINED]["loc"], more, "mend the others first"))
    return shown


def _explain(model: type[BaseModel], source: SourceMap, detail: ErrorDetails) -> Problem:
    """Say one pydantic finding in a planner's words."""
    path = detail["loc"]
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = _fields(model, path[:-1])
        return source.problem(path, f'unknown key "{path[-1]}"', did_you_mean(str(path[-1]), known))
    if kind == "missing":
        return source.problem(path, "is missing", f"write `{path[-1]}:` here")
    if value is None:
        return source.problem(path, "is empty", "write a value, or leave the key out if it isn't needed")
    said, mend = _say(kind, value, context)
    return source.problem(path, said or _sentence(detail["msg"]), mend)


def _say(kind: str, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    shown = _shown(value)
    if kind in ("enum", "literal_error"):
        known = re.findall(r"'([^']+)'", str(context.get("expected", "")))
        return f"{shown} is not a word Muster knows here", did_you_mean(str(value), known)
    if kind == "string_pattern_mismatch" and context.get("pattern") == DEPARTMENT_PATTERN:
        return f"{shown} is not a name", "write lower-case words joined by hyphens, like fire-brigade"
    if kind == "string_too_short" and not value:
        return "is empty", "write a text, or leave the key out if it isn't needed"
    if kind == "value_error" and "duration" in str(context.get("error", "")):
        return f"{shown} is not a duration", "write days, hours, minutes, seconds with their units, like 1h30m or 90s"
    said, mend = _SAID.get(kind, ("", ""))
    facts = {**context, "shown": shown, "kind": _kind(value), "length": len(str(value))}
    return said.format(**facts), mend.format(**facts)


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return _kind(value)
    text = str(value)
    return f'"{text}"' if len(text) <= 60 else f'"{text[:57]}..."'


def _kind(value: Any) -> str:
    return "a map" if isinstance(value, dict) else "a list"


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:]
