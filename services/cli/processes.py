"""The composition root: which services a process runs, with everything they are given."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from services.dispatch import service as dispatch
from services.escalation import service as escalation
from services.intake.accept import Intake
from services.intake.http import make_app
from services.platform.access.access import Access
from services.platform.access.headers import Headers
from services.platform.access.http import add_access
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
DRAIN_WITHIN = 2.0
"""Seconds that intake may take to hand what it has taken in to the broker, once asked to stop."""


async def make_runtime(configured: Settings, name: str, services: tuple[str, ...]) -> Runtime:
    """Make a process in one namespace that runs these services; intake is served by `serve_intake`."""
    runtime = await Runtime.open(configured, name, plan_from, directory_from)
    for service in services:
        if service in ATTACH:
            ATTACH[service](runtime)
    return runtime


def serving_intake(runtimes: list[Runtime], access: Access, host: str, port: int) -> Callable[[], Awaitable[None]]:
    """Give the background work that serves intake's HTTP for these namespaces."""
    intakes = [Intake(runtime.pool, runtime.outbox, runtime.clock, runtime.namespace) for runtime in runtimes]
    apps = [
        make_app(intake, runtime.pool, runtime.is_ready, access)
        for intake, runtime in zip(intakes, runtimes, strict=True)
    ]
    add_access(apps[0], access)
    for runtime, app in zip(runtimes[1:], apps[1:], strict=True):
        # Each world has addresses of its own, so that neither can be taken for the other.
        apps[0].mount(f"/{runtime.namespace.value}", app)

    async def work() -> None:
        try:
            await serve(Headers(apps[0], access.settings), host, port)
        finally:
            # What a broker that is away keeps waiting is in the outbox.
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*(intake.drain() for intake in intakes)), DRAIN_WITHIN)

    return work


def serving_health(runtime: Runtime, host: str, port: int) -> Callable[[], Awaitable[None]]:
    """Give the background work that serves a process's health and metrics."""
    return lambda: serve(health_app(runtime.is_alive, runtime.readiness), host, port)
