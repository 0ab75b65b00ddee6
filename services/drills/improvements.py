"""Improvement items: what a drill showed must be better, with an owner and a date, on the record until closed.

An item is its history: nothing of it is overwritten, and its owner, date and state are what the history says.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from itertools import groupby
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from uuid_utils.compat import uuid7

from schemas.base import Text
from services.drills.record import DrillError, read_drill, sql
from services.platform.postgres import Pool


class Action(StrEnum):
    """What can be done with an item."""

    PROPOSED = "proposed"
    ADDED = "added"
    ASSIGNED = "assigned"
    CLOSED = "closed"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was decided about an item; None where it says nothing about owner or date."""

    action: Action
    owner: str | None
    due: date | None
    by: str
    reason: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Improvement:
    """One item. ``finding`` names the gap it closes; the title is in both languages, or as it was written in both."""

    id: UUID
    drill_id: UUID
    drill: str
    finding: str
    title: Text
    history: tuple[Step, ...]

    @property
    def owner(self) -> str | None:
        """Who sees to it: the last one named."""
        return next((step.owner for step in reversed(self.history) if step.owner is not None), None)

    @property
    def due(self) -> date | None:
        """By when it shall be done: the last date named."""
        return next((step.due for step in reversed(self.history) if step.due is not None), None)

    @property
    def is_open(self) -> bool:
        """True until it is closed, and again once it was reopened."""
        return self.history[-1].action is not Action.CLOSED

    def is_overdue(self, today: date) -> bool:
        """Say whether it is open still after its day."""
        return self.is_open and self.due is not None and self.due < today


@dataclass(frozen=True, slots=True)
class Proposal:
    """An item that a report proposes for one of its gaps."""

    finding: str
    title: Text
    owner: str


async def propose(pool: Pool, drill_id: UUID, proposals: Iterable[Proposal], *, due: date, by: str) -> list[UUID]:
    """Put proposed items on record and give the ids of the new ones; a gap that has its item gets no second."""
    wanted = [(each.finding, each.title, each.owner) for each in proposals]
    return await _add(pool, drill_id, wanted, Action.PROPOSED, due=due, by=by)


async def add(pool: Pool, drill_id: UUID, title: Text, *, owner: str, due: date, by: str) -> UUID:
    """Put an item of a person's own on record; the same words for the same drill are the same item."""
    finding = f"written:{title.en}"
    ids = await _add(pool, drill_id, [(finding, title, owner)], Action.ADDED, due=due, by=by)
    if not ids:
        raise DrillError(f"drill {drill_id}: this improvement item is on record already")
    return ids[0]


async def _add(
    pool: Pool, drill_id: UUID, wanted: Iterable[tuple[str, Text, str]], action: Action, *, due: date, by: str
) -> list[UUID]:
    await read_drill(pool, drill_id)
    at = datetime.now(UTC)
    rows = [
        {
            "id": uuid7(),
            "step": uuid7(),
            "drill_id": drill_id,
            "finding": finding,
            "title": title,
            "action": action,
            "owner": _said(owner, "owner"),
            "due": due,
            "by": _said(by, "by"),
            "reason": None,
            "at": at,
        }
        for finding, title, owner in wanted
    ]
    return [row["id"] for row in await pool.fetch(sql("add_improvements"), to_json(rows).decode())]


async def assign(pool: Pool, id_: UUID, *, owner: str | None, due: date | None, by: str, reason: str) -> Improvement:
    """Give an open item to another owner, or another date."""
    item = await _open(pool, id_)
    if owner is None and due is None:
        raise DrillError(f"improvement {id_}: name an owner, a date, or both")
    return await _note(pool, item, Action.ASSIGNED, by=by, reason=reason, owner=owner, due=due)


async def close(pool: Pool, id_: UUID, *, by: str, reason: str) -> Improvement:
    """Close an item, with what was done about it; raises `DrillError` when it is closed already."""
    return await _note(pool, await _open(pool, id_), Action.CLOSED, by=by, reason=reason)


async def reopen(pool: Pool, id_: UUID, *, by: str, reason: str, due: date | None = None) -> Improvement:
    """Open a closed item again, with the reason; raises `DrillError` when it is open."""
    item = await read_improvement(pool, id_)
    if item.is_open:
        raise DrillError(f"improvement {id_}: it is open")
    return await _note(pool, item, Action.REOPENED, by=by, reason=reason, due=due)


async def _open(pool: Pool, id_: UUID) -> Improvement:
    item = await read_improvement(pool, id_)
    if not item.is_open:
        closed = item.history[-1]
        raise DrillError(f"improvement {id_}: closed by {closed.by} on {closed.at:%F}; reopen it first")
    return item


async def _note(
    pool: Pool,
    item: Improvement,
    action: Action,
    *,
    by: str,
    reason: str,
    owner: str | None = None,
    due: date | None = None,
) -> Improvement:
    step = (owner, due, _said(by, "by"), _said(reason, "reason"), datetime.now(UTC))
    await pool.execute(sql("note_improvement"), uuid7(), item.id, action, *step)
    return await read_improvement(pool, item.id)


def _said(text: str, what: str) -> str:
    if not text.strip():
        raise DrillError(f"improvement: {what} is empty")
    return text.strip()


async def read_improvements(pool: Pool, drill_id: UUID | None = None) -> list[Improvement]:
    """Read the items of one drill, or of all, oldest first."""
    return from_rows([dict(row) for row in await pool.fetch(sql("read_improvements"), drill_id)])


async def read_improvement(pool: Pool, id_: UUID) -> Improvement:
    """Read one item; raises `DrillError` when there is none of this id."""
    found = [item for item in await read_improvements(pool) if item.id == id_]
    if not found:
        raise DrillError(f"improvement {id_}: there is none on record; see `muster drill improvements list`")
    return found[0]


def from_rows(rows: Iterable[Mapping[str, Any]]) -> list[Improvement]:
    """Read items from rows that hold one step each, ordered by item and time."""
    items = []
    for _, group in groupby(rows, key=lambda row: row["id"]):
        steps = list(group)
        first = steps[0]
        items.append(
            Improvement(
                id=first["id"],
                drill_id=first["drill_id"],
                drill=first["drill"],
                finding=first["finding"],
                title=Text.model_validate(json.loads(first["title"])),
                history=tuple(
                    Step(Action(row["action"]), row["owner"], row["due"], row["by"], row["reason"], row["at"])
                    for row in steps
                ),
            )
        )
    return items
