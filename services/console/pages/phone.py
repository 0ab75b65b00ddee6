"""What makes a phone keep the department's pages as an app: a manifest, a service worker, a page for no connection."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from schemas.vocabulary import Namespace
from services.console.assets import STATIC, version
from services.console.page import TEMPLATES, Page
from services.platform.access.guard import everyone

_SHELL = (
    "app.css",
    "department.css",
    "app.js",
    "live.js",
    "department.js",
    "offline.js",
    "icon.svg",
    "lib/source-sans/wght.css",
    "lib/noto-sans-sc/wght.css",
    "lib/htmx/htmx.min.js",
)
"""What the pages look and work with: kept on the phone, and never an order or an answer."""


def add_phone(site: FastAPI) -> None:
    """Add the three; each is everyone's, as a browser asks for them without a session."""

    @site.get("/manifest.webmanifest", include_in_schema=False, dependencies=[everyone()])
    async def manifest(request: Request) -> Response:
        return JSONResponse(_manifest(Page(request, None)), media_type="application/manifest+json")

    @site.get("/sw.js", include_in_schema=False, dependencies=[everyone()])
    async def worker(request: Request) -> Response:
        page = Page(request, None)
        files = [_address(path) for path in _SHELL]
        roots = set(request.app.state.roots.values())
        shell = {
            "version": hashlib.sha256(json.dumps([version("sw.js"), *files]).encode()).hexdigest()[:10],
            "offline": page.url("/offline"),
            "elsewhere": sorted(f"{root}/" for root in roots - {"", page.root}),
            "files": files,
        }
        text = f"const SHELL = {json.dumps(shell)};\n{(STATIC / 'sw.js').read_text(encoding='utf-8')}"
        return Response(text, media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    @site.get("/offline", include_in_schema=False, dependencies=[everyone()])
    async def offline(request: Request) -> HTMLResponse:
        return Page(request, None).render("offline.html.j2")


def _manifest(page: Page) -> dict[str, Any]:
    exercise = page.world is Namespace.EXERCISE
    return {
        "id": page.url("/orders"),
        "name": "Muster 演练 EXERCISE" if exercise else "Muster 任务 Orders",
        "short_name": "演练 Exercise" if exercise else "Muster",
        "start_url": page.url("/orders"),
        "scope": page.url("/"),
        "display": "standalone",
        "background_color": "#0e141c",
        "theme_color": "#f5bd00" if exercise else "#14467f",
        "icons": [
            {"src": _address("icon.svg"), "sizes": "any", "type": "image/svg+xml"},
            {"src": _address("icon-192.png"), "sizes": "192x192", "type": "image/png"},
            {"src": _address("icon-512.png"), "sizes": "512x512", "type": "image/png"},
            {"src": _address("icon-maskable.png"), "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
        ],
    }


def _address(path: str) -> str:
    return cast("Callable[[str], str]", TEMPLATES.globals["static"])(path)
