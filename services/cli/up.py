"""``muster up``: everything on one machine, restartable; the embedded broker forgets, the database does not."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from schemas.vocabulary import Namespace
from services.cli.doorway import open_door, operator
from services.cli.drill_scheduled import watching_schedules
from services.cli.output import JsonFlag, aside, fail, print_json, run
from services.cli.processes import SERVICES, make_runtime
from services.cli.servers import DATA, forget, remember
from services.cli.site import make_sites, serving
from services.drills.control import follow_pauses, pausable
from services.platform.access.opening import local_token
from services.platform.embedded.apache import ApacheKafka
from services.platform.embedded.broker import EmbeddedBroker
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.logs import configure_logging
from services.platform.migrations import migrate
from services.platform.postgres import connect
from services.platform.published import publish
from services.platform.runtime import Runtime, run_all
from services.platform.settings import Settings
from services.playbooks.problem import PlaybookError
from services.playbooks.stored import read_wordings


@run
async def up(
    port: Annotated[int, typer.Option(help="HTTP port on 127.0.0.1.")] = 8080,
    kafka: Annotated[str | None, typer.Option(help="A broker's address, or `apache` to start one.")] = None,
    database: Annotated[str | None, typer.Option(help="A database's address.")] = None,
    data_dir: Annotated[Path, typer.Option(help="Where the embedded servers keep their data.")] = DATA / "up",
    playbooks: Annotated[Path, typer.Option(help="The folder with plans/ and departments.yaml.")] = Path("playbooks"),
    as_json: JsonFlag = False,
) -> None:
    """Start broker, database and all services, publish the plans, and run until Ctrl-C."""
    configure_logging(form="console" if aside.is_terminal else "json", level="warning")
    async with AsyncExitStack() as stack:
        configured = await start_servers(stack, kafka=kafka, database=database, data_dir=data_dir, port=port)
        runtimes = [
            await make_runtime(pausable(configured.model_copy(update={"namespace": namespace})), "up", SERVICES)
            for namespace in Namespace
        ]
        for runtime in runtimes:
            follow_pauses(runtime)
        for runtime in runtimes[1:]:
            runtime.precedence = runtimes[0].precedence
        await prepare(runtimes[0], playbooks)
        access = await open_door(configured.database, demo=is_embedded(database))
        stack.push_async_callback(access.close)
        token = await local_token(access, operator())
        stack.push_async_callback(token.revoke)
        addresses = {
            "http": f"http://127.0.0.1:{port}",
            "kafka": configured.kafka,
            "database": configured.database,
            "embedded": "yes" if configured.embedded_broker else "no",
            "token": token.text,
        }

        async def announce() -> None:
            remember(addresses)
            shown = {name: addresses[name] for name in ("http", "kafka", "database")}
            if as_json:
                print_json(shown)
            else:
                aside.print(f"Muster is up: {addresses['http']} (its API: /openapi.json). Ctrl-C stops it.")

        stack.callback(forget)
        extra = [
            serving(make_sites(runtimes, access, pages=True, playbooks=playbooks), access, "127.0.0.1", port),
            watching_schedules(runtimes[-1], data_dir, playbooks),
            token.keep,
        ]
        await run_all(runtimes, extra=extra, ready=announce)


async def start_servers(
    stack: AsyncExitStack, *, kafka: str | None, database: str | None, data_dir: Path, port: int = 8080
) -> Settings:
    """Start what isn't given, to be stopped with the stack; give the settings that reach all of it."""
    base = Settings()
    given = base.model_fields_set
    values: dict[str, object] = {"http_port": port}
    if is_embedded(database):
        postgres = EmbeddedPostgres(data_dir / "postgres")
        values["database"] = await postgres.start()
        stack.push_async_callback(postgres.stop)
    elif database is not None:
        values["database"] = database
    if kafka == "apache":
        cluster = ApacheKafka(data_dir / "kafka", brokers=1)
        values["kafka"] = await cluster.start()
        stack.push_async_callback(cluster.stop)
    elif kafka is None and "kafka" not in given:
        broker = EmbeddedBroker(data_dir / "broker")
        values |= {"kafka": await broker.start(), "embedded_broker": True}
        stack.push_async_callback(broker.stop)
    elif kafka is not None:
        values["kafka"] = kafka
    return base.model_copy(update=values)


def is_embedded(database: str | None) -> bool:
    """Say whether the database is one that is started here, as no other was named."""
    return database is None and "database" not in Settings().model_fields_set


async def prepare(runtime: Runtime, playbooks: Path) -> None:
    """Bring the database's tables up to date and put the folder's plans into force."""
    try:
        wordings = read_wordings(playbooks)
    except PlaybookError as error:
        more = f" (and {len(error.problems) - 1} more; see `muster plan check`)" if len(error.problems) > 1 else ""
        fail(f"{error.problems[0]}{more}")
    owner = await connect(runtime.settings.database, size=1)
    try:
        await migrate(owner)
        await publish(owner, wordings.plans, wordings.directory)
    finally:
        await owner.close()
