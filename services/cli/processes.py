"""The composition root: which services a process runs, with everything they are given."""

from collections.abc import Awaitable, Callable

from services.dispatch import service as dispatch
from services.escalation import service as escalation
from services.intake.accept import Intake
from services.intake.http import make_app
from services.platform.http import health_app, serve
from services.platform.runtime import Runtime
from services.platform.settings import Settings
from services.playbooks.stored import directory_from, plan_from
from services.tracking import service as tracking

ATTACH: dict[str, Callable[[Runtime], None]] = {
    "dispatch": dispatch.attach,
    "tracking": tracking.attach,
    "escalation": escalation.attach,
}
SERVICES = ("intake", *ATTACH)


async def make_runtime(configured: Settings, name: str, services: tuple[str, ...]) -> Runtime:
    """Make a process in one namespace that runs these services; intake is served by `serve_intake`."""
    runtime = await Runtime.open(configured, name, plan_from, directory_from)
    for service in services:
        if service in ATTACH:
            ATTACH[service](runtime)
    return runtime


def intake_of(runtime: Runtime) -> Intake:
    """Make the intake of a runtime's namespace."""
    return Intake(runtime.pool, runtime.outbox, runtime.clock, runtime.namespace)


def serving_intake(runtimes: list[Runtime], host: str, port: int) -> Callable[[], Awaitable[None]]:
    """Give the background work that serves intake's HTTP for these namespaces."""
    first = runtimes[0]
    app = make_app([intake_of(runtime) for runtime in runtimes], first.pool, first.is_alive, first.readiness)
    return lambda: serve(app, host, port)


def serving_health(runtime: Runtime, host: str, port: int) -> Callable[[], Awaitable[None]]:
    """Give the background work that serves a process's health and metrics."""
    return lambda: serve(health_app(runtime.is_alive, runtime.readiness), host, port)
