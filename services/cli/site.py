"""The composition root of what is served over HTTP: each world's API and pages, put together from all services."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from schemas.vocabulary import Namespace
from services.console.answers import add_answers
from services.console.assets import MissingError
from services.console.board_api import add_board_api
from services.console.inbox import add_inbox_api
from services.console.incidents import add_incidents_api
from services.console.live import Hub
from services.console.operations import add_operations_api
from services.console.pages.board import add_board
from services.console.pages.department import add_department
from services.console.pages.drills import add_drills_pages
from services.console.pages.incident import add_incident
from services.console.pages.operations import add_operations
from services.console.pages.people import add_people_pages
from services.console.pages.phone import add_phone
from services.console.pages.plans import add_plans
from services.console.pages.report import add_report
from services.console.pages.scorecards import add_scorecards
from services.console.pages.sign_in import add_sign_in
from services.console.plans import add_plans_api
from services.console.preview import add_preview
from services.console.scorecards import add_scorecards_api
from services.console.site import add_console, add_static
from services.console.stream import add_stream
from services.drills.http import add_drills
from services.drills.http_simulate import add_simulate
from services.drills.starting import Launcher
from services.intake.accept import Intake
from services.intake.cap import parse_cap
from services.intake.http import make_app
from services.platform.access.access import Access
from services.platform.access.feeds import read_feeds
from services.platform.access.headers import Headers
from services.platform.access.http import add_access
from services.platform.backlog import Backlog
from services.platform.errors import MusterError
from services.platform.http import serve
from services.platform.runtime import Runtime

DRAIN_WITHIN = 2.0
"""Seconds that may pass until what was taken in is with the broker, once asked to stop."""
PAGES: tuple[Callable[[FastAPI], None], ...] = (
    add_incident,
    add_department,
    add_phone,
    add_report,
    add_operations,
    add_scorecards,
)
SHARED_PAGES: tuple[Callable[[FastAPI], None], ...] = (add_sign_in, add_people_pages, add_plans)
"""Those that belong to no world: plans, people; the first site has them."""
EXERCISE_PAGES: tuple[Callable[[FastAPI], None], ...] = (add_drills_pages,)
Work = Callable[[], Awaitable[None]]


@dataclass
class Sites:
    """The sites of one process: what is served, what runs beside it, what must be drained before the broker stops.

    The background work ends together with the serving, which waits for streams that it lets go.
    """

    app: FastAPI
    drains: list[Work] = field(default_factory=list)
    background: list[Work] = field(default_factory=list)


def make_sites(
    runtimes: Sequence[Runtime],
    access: Access,
    *,
    pages: bool,
    playbooks: Path = Path("playbooks"),
    launcher: Launcher | None = None,
) -> Sites:
    """Make the sites of these namespaces, the first at the root, each other below its name.

    Without ``pages`` they are intake's alone: the way in for machines. Raises `MusterError` when the pages' libraries
    aren't installed.
    """
    first, *others = runtimes
    roots = {"shared": "", first.namespace.value: ""} | {each.namespace.value: f"/{each.namespace}" for each in others}
    drains: list[Work] = []
    background: list[Work] = []
    apps = [_intake(runtime, access, drains) for runtime in runtimes]
    add_access(apps[0], access)
    if pages:
        try:
            add_static(apps[0])
        except MissingError as error:
            raise MusterError(str(error)) from None
        hubs = [_furnish(app, runtime, drains) for runtime, app in zip(runtimes, apps, strict=True)]
        background += [hub.follow for hub in hubs]
        exercise = next((hub for hub in hubs if hub.namespace is Namespace.EXERCISE), None)
        for runtime, app in zip(runtimes, apps, strict=True):
            if runtime.namespace is Namespace.EXERCISE:
                add_drills(app, runtime.pool, runtime.playbook, playbooks, launcher=launcher)
        exercises = next((each.pool for each in runtimes if each.namespace is Namespace.EXERCISE), None)
        add_plans_api(apps[0], first.pool, exercises)
        drains.append(add_simulate(apps[0], first.pool).drain)
        for runtime, app, hub in zip(runtimes, apps, hubs, strict=True):
            wanted: list[Callable[[FastAPI], None]] = [
                partial(add_board, hub=hub, exercises=None if hub is exercise else exercise),
                *PAGES,
            ]
            wanted += EXERCISE_PAGES if runtime.namespace is Namespace.EXERCISE else ()
            wanted += SHARED_PAGES if app is apps[0] else ()
            add_console(app, runtime.namespace, access, wanted, roots)
    for runtime, app in zip(others, apps[1:], strict=True):
        # Each world has addresses of its own, so that neither can be taken for the other.
        apps[0].mount(roots[runtime.namespace.value], app)
    return Sites(apps[0], drains, background)


def _intake(runtime: Runtime, access: Access, drains: list[Work]) -> FastAPI:
    intake = Intake(runtime.pool, runtime.outbox, runtime.clock, runtime.namespace)
    drains.append(intake.drain)
    backlog = Backlog(runtime.pool, runtime.namespace, access.settings.backlog)
    runtime.every(backlog.watch)
    feeds = read_feeds(runtime.namespace)
    return make_app(intake, runtime.pool, runtime.is_ready, access, feeds=feeds, backlog=backlog)


def _furnish(app: FastAPI, runtime: Runtime, drains: list[Work]) -> Hub:
    hub = Hub(runtime.pool, runtime.namespace, runtime.playbook, runtime.clock)
    drains.append(add_answers(app, runtime).drain)
    add_inbox_api(app, runtime)
    add_incidents_api(app, runtime)
    add_operations_api(app, runtime)
    add_preview(app, runtime, parse_cap)
    add_scorecards_api(app, runtime.pool, runtime.namespace)
    add_stream(app, hub)
    add_board_api(app, hub)
    return hub


def serving(sites: Sites, access: Access, host: str, port: int) -> list[Work]:
    """Give the background work that serves sites: to be run until the process stops, before its runtimes do."""

    async def work() -> None:
        told = access.settings
        try:
            await serve(
                Headers(sites.app, told),
                host,
                port,
                tls=told.tls(),
                proxies=told.proxies,
                connections=told.connections,
            )
        finally:
            # What a broker that is away keeps waiting is in the outbox.
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*(drain() for drain in sites.drains)), DRAIN_WITHIN)

    return [work, *sites.background]
