"""The audit: who did what in Muster itself and what was kept from whom, added to and never changed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.platform.access.statements import statement
from services.platform.one_line import one_line
from services.platform.postgres import Pool


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act. ``by`` is the name on record, None where nobody was known; ``outcome`` is done, or what stopped it."""

    id: int
    at: datetime
    by: str | None
    by_id: UUID | None
    action: str
    target: str | None
    outcome: str
    address: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are asked for; what is None doesn't matter. ``action`` may be a beginning, as ``person``."""

    by: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Audit:
    """Writes the audit and reads it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def note(
        self,
        at: datetime,
        action: str,
        *,
        by: str | None,
        by_id: UUID | None = None,
        target: str | None = None,
        outcome: str = "done",
        address: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Add one entry; database errors go to the caller."""
        await self._pool.execute(
            statement("note_audit"),
            at,
            by,
            by_id,
            action,
            None if target is None else one_line(target),
            outcome,
            address,
            json.dumps({name: _plain(value) for name, value in (detail or {}).items()}),
        )

    async def list(
        self, wanted: AuditFilter = AuditFilter(), *, before: int | None = None, at_most: int = 100
    ) -> list[AuditEntry]:
        """List entries, newest first, from behind one of them."""
        rows = await self._pool.fetch(
            statement("list_audit"),
            before,
            at_most,
            wanted.by,
            wanted.action,
            wanted.target,
            wanted.outcome,
            wanted.since,
            wanted.until,
        )
        return [AuditEntry(**{**row, "detail": json.loads(row["detail"])}) for row in rows]


def _plain(value: Any) -> Any:
    """Make a value that JSON holds, without what may not be stored or shown."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {one_line(str(name)): _plain(part) for name, part in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(part) for part in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return one_line(str(value))
