"""The composition root of the services that work off topics: which of them a process runs."""

from collections.abc import Awaitable, Callable

from services.dispatch import service as dispatch
from services.drills import outside
from services.escalation import service as escalation
from services.platform.http import health_app, serve
from services.platform.runtime import Runtime
from services.platform.settings import Settings
from services.playbooks.stored import directory_from, plan_from
from services.tracking import service as tracking

ATTACH: dict[str, Callable[[Runtime], None]] = {
    "dispatch": dispatch.attach,
    "tracking": tracking.attach,
    "escalation": escalation.attach,
    "outbound": outside.attach,
}
SERVICES = ("intake", "console", *ATTACH)


async def make_runtime(
    configured: Settings, name: str, services: tuple[str, ...], *, alone: str | None = None
) -> Runtime:
    """Make a process in one namespace that runs these services; see `services.cli.site` for what is served.

    ``alone`` names the service of a process that is this one only, and may do in Kafka and Postgres what it may.
    """
    runtime = await Runtime.open(configured, name, plan_from, directory_from, alone=alone)
    for service in services:
        if service in ATTACH:
            ATTACH[service](runtime)
    return runtime


def serving_health(runtime: Runtime, host: str, port: int) -> Callable[[], Awaitable[None]]:
    """Give the background work that serves a process's health and metrics."""
    return lambda: serve(health_app(runtime.is_alive, runtime.readiness), host, port)
