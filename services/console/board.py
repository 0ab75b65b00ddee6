"""The board of one namespace, kept in memory: read once, then only the incidents that new entries touch."""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from time import time_ns
from uuid import UUID

from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import Namespace
from services.console.board_attention import Suggestion
from services.console.board_models import BoardCounts, BoardRow, Need, PlanOffer
from services.console.board_row import row_of
from services.console.world import statement
from services.domain.incident import Incident, Phase
from services.platform.decider import statuses
from services.platform.logs import get_logger
from services.platform.postgres import TRANSIENT, Pool
from services.platform.published import PublishedPlaybook
from services.platform.records import load

AT_ONCE = 50
"""Incidents read together."""
_log = get_logger(__name__)


class Board:
    """Rows of all open incidents, in their order.

    ``revision`` rises with every change of any row. ``counts`` is what the strip above the rows says; ``levels`` and
    ``plans`` are what the incidents are at and obey.
    """

    def __init__(self, pool: Pool, namespace: Namespace, playbook: PublishedPlaybook) -> None:
        self._pool = pool
        self._namespace = namespace
        self._playbook = playbook
        self._rows: dict[UUID, BoardRow] = {}
        self._joined_to: dict[UUID, UUID] = {}
        self._suggested: dict[UUID, Suggestion] = {}
        self._ordered: list[BoardRow] = []
        self.counts = BoardCounts()
        self.levels: list[str] = []
        self.plans: list[PlanOffer] = []
        # Above every one that a process before this one has given.
        self.revision = time_ns() // 1_000_000

    async def load(self) -> None:
        """Read every open incident."""
        ids = [row["id"] for row in await self._pool.fetch(statement("board_open"), statuses(self._namespace))]
        for row in await self._pool.fetch(statement("board_suggestions"), ids):
            level = json.loads(row["detail"])["level"]
            self._suggested[row["activation_id"]] = Suggestion(level, row["reason"], row["occurred_at"])
        for some in _batched(ids):
            await self._read(some)
        self._sort()

    async def refresh(self, entries: Sequence[TimelineEntry]) -> None:
        """Read again what these entries touch."""
        for entry in entries:
            self._note(entry)
        touched = dict.fromkeys(entry.incident_id for entry in entries)
        for some in _batched(touched):
            await self._read(some)
        self._sort()

    def get(self, incident_id: UUID) -> BoardRow | None:
        """Give one incident's row; None where it isn't open."""
        return self._rows.get(incident_id)

    @property
    def rows(self) -> Sequence[BoardRow]:
        """All rows, worst first."""
        return self._ordered

    def page(
        self, wanted: Callable[[BoardRow], bool], *, after: str = "", limit: int
    ) -> tuple[Sequence[BoardRow], int, bool]:
        """Give rows of those that are wanted, from behind a rank on; how many there are, and whether more follow."""
        found = [row for row in self._ordered if wanted(row)]
        begin = bisect_right(found, after, key=lambda row: row.rank) if after else 0
        part = found[begin : begin + limit]
        return part, len(found), begin + limit < len(found)

    def _note(self, entry: TimelineEntry) -> None:
        """Keep what only the timeline tells: that a report asks for another level than a person's choice."""
        if entry.activation_id is None:
            return
        if entry.entry is Entry.LEVEL_SUGGESTED:
            level = str(entry.detail.get("level"))
            self._suggested[entry.activation_id] = Suggestion(level, entry.reason, entry.occurred_at)
        elif entry.entry in {Entry.LEVEL_CHANGED, Entry.STOOD_DOWN}:
            self._suggested.pop(entry.activation_id, None)

    async def _read(self, ids: Iterable[UUID]) -> None:
        wanted = dict.fromkeys(ids)
        known = await self._load(wanted)
        # A response shows how many reports have joined it, so it changes with them.
        others = [target for incident in known.values() for target in self._join(incident) if target not in known]
        known |= await self._load(dict.fromkeys(others))
        digests = {activation.digest for incident in known.values() for activation in incident.activations.values()}
        playbook = await self._playbook.current(digests)
        joined: defaultdict[UUID, int] = defaultdict(int)
        for target in self._joined_to.values():
            joined[target] += 1
        for incident in known.values():
            try:
                if incident.phase in {Phase.CLOSED, Phase.JOINED}:
                    self._drop(incident)
                else:
                    self._keep(row_of(incident, playbook, joined=joined[incident.id], suggestions=self._suggested))
            except TRANSIENT:
                raise
            except Exception:  # noqa: BLE001 - one incident that can't be shown must not keep the others from view
                _log.exception("an incident can't be put on the board", incident_id=str(incident.id))

    async def _load(self, ids: Iterable[UUID]) -> dict[UUID, Incident]:
        wanted = list(ids)
        if not wanted:
            return {}
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            return await load(connection, wanted)

    def _join(self, incident: Incident) -> list[UUID]:
        """Note whose response an incident has joined; give the responses that this changes."""
        before = self._joined_to.get(incident.id)
        now = incident.joined_to if incident.phase is Phase.JOINED else None
        if now is None:
            self._joined_to.pop(incident.id, None)
        else:
            self._joined_to[incident.id] = now
        return [] if before == now else [each for each in (before, now) if each is not None]

    def _keep(self, row: BoardRow) -> None:
        before = self._rows.get(row.id)
        if before is not None and before.model_copy(update={"revision": 0}) == row:
            return
        self.revision += 1
        self._rows[row.id] = row.model_copy(update={"revision": self.revision})

    def _drop(self, incident: Incident) -> None:
        for activation_id in incident.activations:
            self._suggested.pop(activation_id, None)
        if self._rows.pop(incident.id, None) is not None:
            self.revision += 1

    def _sort(self) -> None:
        self._ordered = sorted(self._rows.values(), key=lambda row: row.rank)
        rows = self._ordered
        plans = {plan.plan: plan for row in rows for plan in row.plans}
        self.plans = [PlanOffer(plan=name, title=plans[name].title) for name in sorted(plans)]
        self.levels = sorted({plan.level for row in rows for plan in row.plans if plan.level is not None})
        self.counts = BoardCounts(
            open=len(rows),
            overdue=sum(row.overdue for row in rows),
            not_received=sum(row.counts.not_received > 0 for row in rows),
            not_answered=sum(row.counts.not_answered > 0 for row in rows),
            blocked=sum(row.blocked for row in rows),
            awaiting_confirmation=sum(any(item.need is Need.CONFIRM for item in row.attention) for row in rows),
            attention=sum(bool(row.attention) for row in rows),
        )


def _batched(ids: Iterable[UUID]) -> Iterable[list[UUID]]:
    every = list(ids)
    return (every[begin : begin + AT_ONCE] for begin in range(0, len(every), AT_ONCE))
