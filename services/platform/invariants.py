"""Proof over the record that nothing was lost and nothing happened twice. Reads tables only; decides nothing."""

from dataclasses import dataclass

from services.platform.chain_rows import check_chains
from services.platform.postgres import Pool
from services.platform.queries import query

EXAMPLES = 3
"""How many of what is broken are named."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant: how many rows were looked at, how many break it, and which for example."""

    name: str
    looked_at: int
    broken: int
    examples: tuple[str, ...]


INVARIANTS = {
    "every report taken in has one decision on record": "every_report_decided",
    "every incident has its first decision on record": "every_incident_decided",
    "no department holds the same task of an activation twice": "no_assignment_twice",
    "every assignment was announced to its department": "every_assignment_announced",
    "every state of an assignment has its entry in the timeline": "every_state_told",
    "no answer was recorded twice": "no_answer_twice",
    "every wanted assignment is watched by a deadline or its ladder is used up": "every_assignment_watched",
    "no closed incident holds an open assignment": "nothing_open_in_closed",
    "no row mixes an exercise with the real": "no_mixed_status",
    "every message was published": "every_message_published",
}
"""What must hold, and the statement that looks: it gives (looked_at, broken, examples)."""


CHAINED = "every timeline is a whole chain: nothing changed, missing or out of its place"


async def check_invariants(pool: Pool) -> list[Finding]:
    """Check all of them on one snapshot of the record."""
    findings: list[Finding] = []
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        for name, statement in INVARIANTS.items():
            row = await connection.fetchrow(query(f"invariants/{statement}"), EXAMPLES)
            if row is None:
                raise LookupError(f"invariant {statement}: the statement gave no row")
            findings.append(Finding(name, row["looked_at"], row["broken"], tuple(row["examples"] or ())))
        looked_at, broken = await check_chains(connection)
        findings.append(Finding(CHAINED, looked_at, len(broken), tuple(broken[:EXAMPLES])))
    return findings
