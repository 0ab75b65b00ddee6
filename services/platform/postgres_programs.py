"""PostgreSQL's own programs, run as a client: the ones of the wheel, whatever server they talk to."""

import asyncio
import os
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote, urlsplit

from services.platform.embedded.postgres_install import PACKAGE, WHEEL
from services.platform.embedded.process import last_words
from services.platform.embedded.wheels import wheel_folder
from services.platform.errors import MusterError

Progress = Callable[[str], None]
"""Hears what is being done, in a few words."""

_KEPT = 50


class ProgramError(MusterError):
    """One of PostgreSQL's programs failed."""


def database_of(dsn: str) -> str:
    """Name the database that an address points at."""
    return unquote(urlsplit(dsn).path.lstrip("/"))


def with_database(dsn: str, name: str) -> str:
    """Point an address at another database of the same server."""
    return urlsplit(dsn)._replace(path=f"/{quote(name, safe='')}").geturl()


async def run_program(name: str, dsn: str, arguments: Sequence[str], progress: Progress) -> None:
    """Run a program against a database; raises `ProgramError` with its last words.

    The password goes by the environment, so that a list of processes doesn't show it.
    """
    program = wheel_folder(PACKAGE, WHEEL) / "pginstall" / "bin" / name
    parts = urlsplit(dsn)
    environment = {**os.environ, "LC_ALL": "C"}
    if parts.password is not None:
        environment["PGPASSWORD"] = unquote(parts.password)
        user = quote(unquote(parts.username or ""), safe="")
        parts = parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}")
    process = await asyncio.create_subprocess_exec(
        program,
        *("--dbname", parts.geturl(), "--verbose", *arguments),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    said: list[str] = []
    try:
        if process.stderr is None:
            raise ProgramError(f"{name}: has no standard error")
        async for line in process.stderr:
            text = line.decode(errors="replace").strip().removeprefix(f"{name}: ")
            said = [*said[-_KEPT:], text]
            progress(text)
        code = await process.wait()
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if code != 0:
        errors = [line for line in said if line.startswith(("error:", "detail:", "hint:"))] or said
        raise ProgramError(f"{name} ended with {code}: {last_words(chr(10).join(errors))}")
