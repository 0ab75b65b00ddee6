"""The person at this machine, in whose name commands act."""

import getpass

from services.platform.access.audit import Audit
from services.platform.clock import SystemClock
from services.platform.postgres import Pool


def operator() -> str:
    """Name the person at this machine, as goes on record."""
    return getpass.getuser()


async def note(pool: Pool, action: str, target: str | None, **detail: object) -> None:
    """Put on the audit what was done at the command line."""
    now = SystemClock().now()
    await Audit(pool).note(now, action, by=operator(), target=target, detail={**detail, "how": "command line"})
