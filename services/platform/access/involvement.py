"""Who sees which incident: staff all of them, a department's member those its department has an order in."""

from uuid import UUID

from services.platform.access.principal import Principal
from services.platform.access.statements import statement
from services.platform.postgres import Pool


async def may_see(pool: Pool, caller: Principal, incident_id: UUID) -> bool:
    """Say whether this one may read an incident. ``pool`` is the incident's namespace's own."""
    if caller.is_staff:
        return True
    return bool(await pool.fetchval(statement("sees_incident"), incident_id, sorted(caller.departments)))
