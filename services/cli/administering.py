"""What the commands about people and tokens share: access to the database named, in the operator's own name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.cli.operator import operator
from services.cli.servers import settings
from services.platform.access.access import Access
from services.platform.access.administration import Administration
from services.platform.access.opening import open_access


@asynccontextmanager
async def administering() -> AsyncIterator[tuple[Access, Administration]]:
    """Open access to the database that is set, and put what is done on its audit as done at the command line.

    Who can reach the database as its owner needs no further leave.
    """
    access = await open_access(settings().postgres(), size=2)
    name = operator()

    async def note(action: str, target: str, **detail: Any) -> None:
        detail["how"] = detail.get("how", "command line")
        await access.audit.note(access.now(), action, by=name, target=target, detail=detail)

    try:
        yield access, Administration(access, note)
    finally:
        await access.close()
