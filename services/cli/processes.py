"""The composition root of the services that work off topics: which of them a process runs."""

from importlib import import_module

from services.platform.runtime import Runtime
from services.platform.settings import Settings
from services.playbooks.stored import directory_from, plan_from

ATTACH = {
    "dispatch": "services.dispatch.service",
    "tracking": "services.tracking.service",
    "escalation": "services.escalation.service",
    "outbound": "services.drills.outside",
}
"""By name: the module whose ``attach`` lets a `Runtime` be that service; only those asked for are imported."""
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
            import_module(ATTACH[service]).attach(runtime)
    return runtime
