"""Starting a drill from the console: who asked is put on record, and a process of its own plays it.

The drill's id is given beforehand, so that whoever asked can watch it from the first moment.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from uuid_utils.compat import uuid7

from schemas.drill import DrillDocument
from services.drills.record import DrillError, sql
from services.platform.postgres import Pool

STARTS_WITHIN = 90.0
"""Wall seconds within which a drill that was asked for is on record; after that it is taken for failed."""

Settle = Callable[[str], Awaitable[None]]
"""Is told in a few words how a drill went."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One drill to be started. ``announced``: whether its players knew; None as the file has it.

    ``hold``: its clock stands still at STARTEX until somebody starts it.
    """

    drill_id: UUID
    file: Path
    seed: int
    speed: float
    announced: bool | None = None
    hold: bool = False


class Launcher(Protocol):
    """Plays drills somewhere, as ``muster drill run`` does."""

    def launch(self, launch: Launch, settle: Settle) -> None:
        """Start a drill and return at once; tell ``settle`` when it is over."""


async def start(
    pool: Pool,
    launcher: Launcher,
    file: Path,
    document: DrillDocument,
    *,
    seed: int,
    speed: float,
    announced: bool | None = None,
    hold: bool = False,
    by: str,
) -> UUID:
    """Start a drill and give its id; raises `DrillError` while another one runs or starts."""
    drill_id = uuid7()
    title = document.title.model_dump_json()
    row = (drill_id, document.id, document.version, title, seed, speed, by, STARTS_WITHIN)
    async with pool.acquire() as connection, connection.transaction():
        # In a statement of its own: the next one shall see what others did while this one waited.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('muster.drill.launch', 0))")
        asked = await connection.fetchval(sql("ask_launch"), *row)
    if asked is None:
        raise DrillError("another drill runs or is being started; wait for its end")

    async def settle(outcome: str) -> None:
        await pool.execute(sql("settle_launch"), drill_id, outcome)

    launcher.launch(Launch(drill_id, file, seed, speed, announced, hold), settle)
    return drill_id
