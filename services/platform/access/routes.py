"""Every route of an application with its guards, so that a test can hold each to exactly one."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from services.platform.access.feeds import Signed
from services.platform.access.guard import Allow, Everyone

Guard = Allow | Everyone | Signed


@dataclass(frozen=True, slots=True)
class GuardedRoute:
    """One method of one path. ``guards`` holds what stands before it: exactly one, or it is a mistake."""

    method: str
    path: str
    guards: tuple[Guard, ...]


def guards_of(app: FastAPI, prefix: str = "") -> list[GuardedRoute]:
    """List every route of an application and of those mounted in it.

    The OpenAPI document and static files are everyone's: they hold nothing but what is shipped.
    """
    return sorted(_walk(app, prefix), key=lambda route: (route.path, route.method))


def _walk(app: FastAPI, prefix: str) -> Iterator[GuardedRoute]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, Mount):
            path = f"{prefix}{route.path}"
            if isinstance(route.app, FastAPI):
                yield from _walk(route.app, path)
            else:
                yield GuardedRoute("GET", f"{path}/", (Everyone(),) if isinstance(route.app, StaticFiles) else ())
            continue
        dependant = getattr(context, "dependant", None)
        guards = tuple(_guards(dependant)) if isinstance(dependant, Dependant) else ()
        if isinstance(route, Route) and context.path == app.openapi_url:
            guards = (Everyone(),)
        for method in sorted((context.methods or {"?"}) - {"HEAD"}):
            yield GuardedRoute(method, f"{prefix}{context.path}", guards)


def _guards(dependant: Dependant) -> Iterator[Guard]:
    for part in dependant.dependencies:
        if isinstance(part.call, Guard):
            yield part.call
        yield from _guards(part)
