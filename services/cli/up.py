"""``muster up``: everything on one machine, restartable; the embedded broker forgets, the database does not."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from schemas.vocabulary import Namespace
from services.cli.doorway import open_door
from services.cli.drill_scheduled import ChildDrills, watching_schedules
from services.cli.operator import operator
from services.cli.output import JsonFlag, aside, print_json, run
from services.cli.own_servers import is_embedded, prepare, start_servers
from services.cli.processes import SERVICES, make_runtime
from services.cli.serve import TlsCert, TlsKey
from services.cli.servers import DATA, forget, remember
from services.cli.site import make_sites, serving
from services.drills.control import follow_pauses, pausable
from services.platform.access.opening import local_token
from services.platform.logs import configure_logging
from services.platform.runtime import run_all


@run
async def up(
    port: Annotated[int, typer.Option(help="HTTP port on 127.0.0.1.")] = 8080,
    kafka: Annotated[str | None, typer.Option(help="A broker's address, or `apache` to start one.")] = None,
    database: Annotated[str | None, typer.Option(help="A database's address.")] = None,
    data_dir: Annotated[Path, typer.Option(help="Where the embedded servers keep their data.")] = DATA / "up",
    playbooks: Annotated[Path, typer.Option(help="The folder with plans/ and departments.yaml.")] = Path("playbooks"),
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    as_json: JsonFlag = False,
) -> None:
    """Start broker, database and all services, publish the plans, and run until Ctrl-C."""
    configure_logging(form="console" if aside.is_terminal else "json", level="warning")
    async with AsyncExitStack() as stack:
        configured = await start_servers(stack, kafka=kafka, database=database, data_dir=data_dir, port=port)
        await prepare(configured, playbooks)
        runtimes = [
            await make_runtime(pausable(configured.model_copy(update={"namespace": namespace})), "up", SERVICES)
            for namespace in Namespace
        ]
        for runtime in runtimes:
            follow_pauses(runtime)
        for runtime in runtimes[1:]:
            runtime.precedence = runtimes[0].precedence
        access = await open_door(configured.postgres(), demo=is_embedded(database), tls_cert=tls_cert, tls_key=tls_key)
        stack.push_async_callback(access.close)
        token = await local_token(access, operator())
        stack.push_async_callback(token.revoke)
        addresses = {
            "http": f"{'https' if access.settings.tls_cert else 'http'}://127.0.0.1:{port}",
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
        drills = ChildDrills(runtimes[-1], data_dir, playbooks)
        sites = make_sites(runtimes, access, pages=True, playbooks=playbooks, launcher=drills)
        extra = [
            *serving(sites, access, "127.0.0.1", port),
            drills.serving,
            watching_schedules(runtimes[-1], data_dir, playbooks),
            token.keep,
        ]
        await run_all(runtimes, extra=extra, ready=announce)
