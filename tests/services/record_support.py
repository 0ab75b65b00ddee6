"""What tests of the record share: decisions on record without a broker, and a look at the chains."""

from collections.abc import Sequence
from datetime import datetime

from uuid_utils.compat import uuid7

from schemas.envelope import INCIDENT
from schemas.incident import IncidentReport
from schemas.vocabulary import Namespace
from services.domain.decision import Reported
from services.platform.chain_rows import check_chains
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming
from services.platform.kafka import Origin
from services.platform.postgres import Pool
from services.platform.published import PublishedPlaybook
from services.playbooks.stored import directory_from, plan_from

NOWHERE = Origin("test", 0, 0, None)


async def decide(pool: Pool, reports: Sequence[IncidentReport], at: datetime | None = None) -> None:
    """Decide reports as dispatch does, one event each; ``at`` is when, if not now."""
    playbook = PublishedPlaybook(pool, plan_from, directory_from)
    decider = Decider(pool, playbook, SystemClock(), Namespace.of(reports[0].status) or Namespace.ACTUAL, "test")
    await decider.decide([Incoming(Reported(uuid7(), one, None), INCIDENT, NOWHERE, at) for one in reports])


async def wrong(pool: Pool) -> list[str]:
    """Name all that is wrong with any chain."""
    async with pool.acquire() as connection, connection.transaction():
        return (await check_chains(connection))[1]
