"""``muster serve SERVICE``: one service as a process of its own, any number of copies."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from schemas.vocabulary import Namespace
from services.cli.output import aside, fail, run
from services.cli.processes import SERVICES, make_runtime
from services.cli.servers import settings
from services.drills.control import follow_pauses, pausable
from services.platform.logs import configure_logging
from services.platform.migrations import migrate
from services.platform.postgres import connect
from services.platform.runtime import Runtime, run_all
from services.platform.settings import Settings

Work = Callable[[], Awaitable[None]]
TlsCert = Annotated[Path | None, typer.Option(help="Speak TLS with this certificate (PEM); MUSTER_TLS_CERT.")]
TlsKey = Annotated[Path | None, typer.Option(help="The certificate's private key (PEM); MUSTER_TLS_KEY.")]


async def bring_up_to_date(configured: Settings) -> None:
    """Apply missing migrations where the address is the tables' owner's; else see that none is missing."""
    pool = await connect(configured.postgres(), size=1)
    try:
        await migrate(pool)
    finally:
        await pool.close()


def _serving_health(runtime: Runtime, host: str, port: int) -> Work:
    from services.platform import http  # for a process whose health is asked for over HTTP

    return lambda: http.serve(http.health_app(runtime.is_alive, runtime.readiness), host, port)


@run
async def serve(
    service: Annotated[str, typer.Argument(help=f"One of {', '.join(SERVICES)}.")],
    namespace: Annotated[
        Namespace | None, typer.Option(help="The world it works in; the console shows both unless one is named.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Intake and console: HTTP port. Others: port for health and metrics.")
    ] = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
) -> None:
    """Run one service until SIGTERM or Ctrl-C; it then finishes what it has in hand, within 15 seconds."""
    if service not in SERVICES:
        fail(f"serve {service}: there is no such service; write one of {', '.join(SERVICES)}", 2)
    configured = settings(namespace=namespace)
    configure_logging(form=configured.log_format, level=configured.log_level)
    await bring_up_to_date(configured)
    worlds = list(configured.worlds) if service == "console" and namespace is None else [configured.namespace]
    runtimes = [
        await make_runtime(
            pausable(configured.model_copy(update={"namespace": each})), service, (service,), alone=service
        )
        for each in worlds
    ]
    for runtime in runtimes:
        follow_pauses(runtime)
    async with AsyncExitStack() as stack:
        extra: list[Work] = []
        metrics_port = port if port is not None else configured.metrics_port
        if service in {"intake", "console"}:
            from services.cli.doorway import open_door  # what serves pages is for those that serve them
            from services.cli.site import make_sites, serving

            access = await open_door(configured.postgres(), tls_cert=tls_cert, tls_key=tls_key)
            stack.push_async_callback(access.close)
            sites = make_sites(runtimes, access, pages=service == "console", playbooks=configured.playbooks)
            extra = serving(sites, access, configured.http_host, port or configured.http_port)
        elif metrics_port is not None:
            extra = [_serving_health(runtimes[0], configured.http_host, metrics_port)]
        await run_all(runtimes, extra=extra)
    aside.print(f"{service} has stopped.")
