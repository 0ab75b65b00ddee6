"""``muster backup``, ``restore`` and ``catch-up``: the record kept elsewhere, put back, brought up to the broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from schemas.envelope import ACKNOWLEDGEMENT, COMMAND, INCIDENT
from schemas.vocabulary import Namespace
from services.cli.operator import note
from services.cli.output import JsonFlag, aside, console, print_json, run
from services.cli.servers import settings
from services.dispatch.service import admit_command, admit_report
from services.platform.backup import take_backup
from services.platform.catch_up import CaughtUp
from services.platform.catch_up import catch_up as catch_up_record
from services.platform.clock import SystemClock
from services.platform.errors import RefusedError
from services.platform.logs import configure_logging
from services.platform.postgres import Pool, connect
from services.platform.postgres_programs import Progress
from services.platform.restore import restore as restore_record
from services.platform.settings import Settings
from services.platform.topics import list_topics
from services.playbooks.stored import directory_from, plan_from
from services.tracking.service import admit as admit_answer

ADMITS = {INCIDENT: admit_report, COMMAND: admit_command, ACKNOWLEDGEMENT: admit_answer}

CatchUp = Annotated[
    bool, typer.Option("--catch-up/--no-catch-up", help="Decide again what the broker has and the backup hasn't.")
]


@run
async def backup(
    folder: Annotated[Path, typer.Argument(help="A folder that isn't there yet.")],
    as_json: JsonFlag = False,
) -> None:
    """Write everything the database holds into a new folder, from one moment, while the services work on."""
    configured = settings()
    pool = await connect(configured.postgres(), size=2, name="muster-backup")
    try:
        with _progress() as progress:
            manifest = await take_backup(pool, configured.postgres(), folder, progress)
        await note(pool, "backup.take", str(folder.absolute()), taken_at=manifest.taken_at, sha256=manifest.file.sha256)
    finally:
        await pool.close()
    if as_json:
        print_json({"folder": str(folder), "manifest": manifest})
        return
    rows = sum(manifest.rows.values())
    console.print(
        f"{folder}: {rows:,} rows of {len(manifest.rows)} tables as of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC,"
        f" {manifest.file.bytes / 1e6:.1f} MB.",
        soft_wrap=True,
        markup=False,
    )


@run
async def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that muster backup made.")],
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Also where the database holds something; that is kept under another name."),
    ] = False,
    with_catch_up: CatchUp = True,
    as_json: JsonFlag = False,
) -> None:
    """Put a backup in the place of the database, and decide again what the broker has of the time since.

    Services may run meanwhile: they wait for their database, and then send what is open again.
    """
    configured = _configured()
    caught: dict[Namespace, CaughtUp] = {}
    if with_catch_up:
        await _reach(configured)
    with _progress() as progress:

        async def finish(pool: Pool) -> None:
            if with_catch_up:
                caught.update(await _catch_up(configured, pool, progress))
            await note(pool, "backup.restore", str(folder.absolute()), caught_up=with_catch_up)

        restored = await restore_record(configured.postgres(), folder, progress, replace=replace, finish=finish)
    if as_json:
        print_json({"restored": restored, "caught_up": caught})
        return
    manifest = restored.manifest
    console.print(
        f"{restored.database}: {sum(manifest.rows.values()):,} rows as of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC.",
        soft_wrap=True,
        markup=False,
    )
    if restored.kept_as:
        console.print(f"What was there before is kept as database {restored.kept_as}.", soft_wrap=True, markup=False)
    _tell(caught)
    console.print("What is open goes out again as soon as a service runs.")


@run
async def catch_up(as_json: JsonFlag = False) -> None:
    """Decide again what the broker has and the record hasn't, after a database was recovered by other means.

    No service may run meanwhile.
    """
    configured = _configured()
    await _reach(configured)
    pool = await connect(configured.postgres(), size=4, name="muster-catch-up")
    try:
        busy = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND application_name LIKE 'muster-%' AND application_name <> 'muster-catch-up'"
        )
        if busy:
            raise RefusedError(f"database: {busy} connections of services are open; stop the services first")
        with _progress() as progress:
            caught = await _catch_up(configured, pool, progress)
        await pool.execute("DELETE FROM epochs")
        await note(pool, "backup.catch-up", None, decided={str(who): each.decided for who, each in caught.items()})
    finally:
        await pool.close()
    if as_json:
        print_json({"caught_up": caught})
        return
    _tell(caught)


def _configured() -> Settings:
    configured = settings()
    configure_logging(form=configured.log_format, level="warning")
    return configured


async def _reach(configured: Settings) -> None:
    """See that the broker is there before anything is begun that needs it."""
    for namespace in Namespace:
        await list_topics(configured.brokers(namespace))


async def _catch_up(configured: Settings, pool: Pool, progress: Progress) -> dict[Namespace, CaughtUp]:
    return {
        namespace: await catch_up_record(
            pool,
            configured.brokers(namespace),
            namespace,
            settings(namespace=namespace).clock() if namespace is configured.namespace else SystemClock(),
            ADMITS,
            plan_from,
            directory_from,
            progress,
        )
        for namespace in Namespace
    }


def _tell(caught: dict[Namespace, CaughtUp]) -> None:
    for namespace, done in caught.items():
        console.print(
            f"{namespace}: {done.read:,} records read; {done.decided:,} decided again,"
            f" and {done.passed:,} times something had fallen due."
        )


@contextmanager
def _progress() -> Iterator[Progress]:
    with aside.status("") as status:
        yield status.update
