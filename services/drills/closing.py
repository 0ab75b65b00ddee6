"""Ending what a drill began: its incidents are closed, as are those that an earlier controller left behind."""

import asyncio
from uuid import UUID

from schemas.command import Close
from services.domain.incident import Phase
from services.drills.messages import Voice
from services.drills.record import DrillError, sql
from services.platform.clock import Clock
from services.platform.postgres import Pool

CLOSED_WITHIN = 30.0
"""Wall seconds within which an incident must have closed; after that the services are broken."""
LOOK_EVERY = 0.05


class Closing:
    """Closes the incidents of drills."""

    def __init__(self, pool: Pool, voice: Voice) -> None:
        self._pool = pool
        self._voice = voice

    async def leftovers(self, clock: Clock) -> None:
        """End what an earlier controller left behind: its incidents would still escalate, and take ours in."""
        for row in await self._pool.fetch(sql("unfinished_drills")):
            await self.close(list(row["incident_ids"]), f"drill {row['id']} was left behind by its controller")
            await self._pool.execute(
                "UPDATE drills SET ended_at = greatest($2, started_at), ending = 'failed'"
                " WHERE id = $1 AND ended_at IS NULL",
                row["id"],
                clock.now(),
            )

    async def close(self, ids: list[UUID], reason: str) -> None:
        """Close incidents: the first word stands the plans down, the second calls their stand-down tasks off."""
        for phases in ((Phase.CLOSING, Phase.CLOSED), (Phase.CLOSED,)):
            for incident_id in await self._short_of(ids, phases):
                await self._voice.command(Close, incident_id, reason)
            deadline = asyncio.get_running_loop().time() + CLOSED_WITHIN
            while left := await self._short_of(ids, phases):
                if asyncio.get_running_loop().time() > deadline:
                    raise DrillError(f"incident {left[0]}: does not close; does dispatch run?")
                await asyncio.sleep(LOOK_EVERY)

    async def _short_of(self, ids: list[UUID], phases: tuple[Phase, ...]) -> list[UUID]:
        rows = await self._pool.fetch(sql("drill_phases"), ids)
        return [row["id"] for row in rows if row["phase"] not in phases]
