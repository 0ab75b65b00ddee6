"""What changed between two wordings of a plan, in a planner's words."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas.plan import PlanDocument

_KINDS = {
    "levels": "level",
    "roles": "role",
    "tasks": "task",
    "reports": "report",
    "stand_down": "stand-down task",
    "calls": "call of plan",
}
"""Lists whose items have a name of their own; all others are compared as they stand, order included."""

_DEADLINES = frozenset({"acknowledge", "start", "complete", "within", "confirm_within"})
_DEPARTMENTS = frozenset({"department", "deputies", "needed", "any_of", "quota", "owner"})


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. ``before`` or ``after`` is None when the thing was not there.

    ``path`` names items by id, as in ``tasks[cordon].deadlines.acknowledge``. ``breaking`` says whom it concerns
    beyond the planner, and is empty for a change of words.
    """

    path: str
    before: str | None
    after: str | None
    breaking: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        if self.before is None:
            said = f"{self.path}: added: {self.after}"
        elif self.after is None:
            said = f"{self.path}: removed: {self.before}"
        else:
            said = f"{self.path}: {self.before} -> {self.after}"
        return f"{said} ({self.breaking})" if self.breaking else said


def diff(a: PlanDocument, b: PlanDocument) -> list[Change]:
    """List what changed from ``a`` to ``b``, in the order of the document; nothing when they are equal.

    Levels, roles, tasks, reports and calls are matched by id. Of these only the order of levels means anything, and
    a new order is a change of its own.
    """
    return list(_maps("", a.model_dump(mode="json"), b.model_dump(mode="json")))


def _maps(path: str, a: dict[str, Any], b: dict[str, Any]) -> Iterator[Change]:
    for key in dict.fromkeys((*a, *b)):
        before, after = a.get(key), b.get(key)
        place = f"{path}.{key}" if path else key
        if before == after:
            continue
        if key in _KINDS and not path:
            yield from _lists(key, before or [], after or [])
        elif isinstance(before, dict) and isinstance(after, dict):
            yield from _maps(place, before, after)
        else:
            yield Change(place, _shown(before), _shown(after), _breaking(place, key))


def _lists(name: str, a: list[dict[str, Any]], b: list[dict[str, Any]]) -> Iterator[Change]:
    key = "plan" if name == "calls" else "id"
    before, after = {item[key]: item for item in a}, {item[key]: item for item in b}
    for item in dict.fromkeys((*before, *after)):
        place = f"{name}[{item}]"
        if item not in after:
            yield Change(place, _title(before[item], key), None, f"{_KINDS[name]} removed")
        elif item not in before:
            yield Change(place, None, _title(after[item], key), f"{_KINDS[name]} added")
        else:
            yield from _maps(place, before[item], after[item])
    kept_before = [item for item in before if item in after]
    kept_after = [item for item in after if item in before]
    if name == "levels" and kept_before != kept_after:
        yield Change(name, ", ".join(kept_before), ", ".join(kept_after), "levels are chosen in another order")


def _breaking(path: str, key: str) -> str:
    """Say whom a change concerns: departments, their deadlines, or the level of a response."""
    if key in _DEADLINES:
        return "a deadline changes"
    if key == "wait":
        return "a quota calls at another pace"
    if key == "escalation":
        return "silence is followed up differently"
    if key == "role" or (key in _DEPARTMENTS and (path.startswith("roles[") or path == "owner")):
        return "other departments are concerned"
    if key == "levels" or (path.startswith("levels[") and key == "when"):
        return "a level changes"
    if path.startswith(("match.", "activation.mode")) or key in ("when", "clock"):
        return "the plan answers differently"
    return ""


def _title(item: dict[str, Any], key: str) -> str:
    title = item.get("title")
    return str(title["en"]) if title else str(item[key])


def _shown(value: Any) -> str | None:
    """Write a value as a plan would: text as it is, lists and rungs in short."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case []:
            return "nothing"
        case [*items]:
            return ", ".join(_shown(item) or "" for item in items)
        case {"step": step, "wait": wait}:
            return f"{step} after {wait}"
        case {"en": english}:
            return str(english)
        case _:
            return json.dumps(value, ensure_ascii=False)
