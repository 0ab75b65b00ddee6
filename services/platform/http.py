"""Serving HTTP inside a process that has other work: health and metrics for all, an app of its own for some."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp

from services.platform.access.guard import everyone
from services.platform.connections import bounded

CONNECTIONS = 1_000
"""Open at most, where nobody says otherwise."""
KEPT_ALIVE = 5
"""Seconds that a connection stays open without a request."""
Readiness = Callable[[], Awaitable[dict[str, bool]]]


class _Server(uvicorn.Server):
    """Leaves the process's signals to the process, which has more to stop than this."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None = None,
    proxies: Sequence[str] = (),
    connections: int = CONNECTIONS,
) -> None:
    """Serve an app until cancelled.

    ``proxies`` are the addresses whose X-Forwarded-For and X-Forwarded-Proto are believed; ``connections`` are open
    at most.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=bounded(connections),
        ws="none",
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_keep_alive=KEPT_ALIVE,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


def add_health(app: FastAPI, is_alive: Callable[[], bool], readiness: Readiness) -> None:
    """Add ``/health/live`` (a recent poll by every consumer), ``/health/ready`` and ``/metrics`` to an app."""

    @app.get("/health/live", tags=["health"], dependencies=[everyone()])
    async def live(response: Response) -> dict[str, bool]:
        """Say whether the process is alive: 200, or 503 for a supervisor to restart it."""
        response.status_code = 200 if is_alive() else 503
        return {"alive": is_alive()}

    @app.get("/health/ready", tags=["health"], dependencies=[everyone()])
    async def ready(response: Response) -> dict[str, bool]:
        """Say what is ready: 200 when everything is, else 503."""
        found = await readiness()
        response.status_code = 200 if all(found.values()) else 503
        return found

    @app.get("/metrics", tags=["health"], dependencies=[everyone()])
    async def metrics() -> Response:
        """Give the process's counts in Prometheus' text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def health_app(is_alive: Callable[[], bool], readiness: Readiness) -> FastAPI:
    """Make the app of a process that serves nothing but its health."""
    app = FastAPI(title="Muster", docs_url=None, redoc_url=None)
    add_health(app, is_alive, readiness)
    return app
