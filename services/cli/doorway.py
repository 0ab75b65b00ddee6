"""Access as a process is given it: opened, with somebody who may sign in, and a word about that on stderr."""

import sys
from pathlib import Path

from services.cli.output import aside
from services.platform.access.access import Access
from services.platform.access.opening import (
    DEMO_PASSWORD,
    DEMO_STAFF,
    FIRST_LOGIN,
    demo_people,
    first_run,
    is_demo,
    open_access,
)


async def open_door(
    database: str, *, demo: bool = False, tls_cert: Path | None = None, tls_key: Path | None = None
) -> Access:
    """Open access to a database that is up to date, and see that somebody may sign in.

    On the first start of all an administrator is added whose one-time password is told to the person at the terminal,
    this once; where nobody sits there it would be told to a log, and it is said instead how to add one. With ``demo``,
    for the embedded database only, ready-made people for every role are there.
    """
    access = await open_access(database, tls_cert=tls_cert, tls_key=tls_key)
    if demo:
        await demo_people(access)
        access.demo = await is_demo(access)
        if access.demo:
            names = ", ".join(DEMO_STAFF)
            aside.print(
                f"Demo: sign in as {names} or a department's id (fire-rescue), password {DEMO_PASSWORD}.",
                soft_wrap=True,
                markup=False,
            )
    if not sys.stderr.isatty():
        if not await access.people.list(at_most=1):
            aside.print(
                f"Nobody can sign in yet: run `muster user add {FIRST_LOGIN} --role administrator`.", soft_wrap=True
            )
        return access
    password = await first_run(access)
    if password is not None:
        aside.print(
            f"First start: sign in as {FIRST_LOGIN} with the one-time password {password} (shown this once).",
            soft_wrap=True,
            markup=False,
        )
    return access
