"""What surrounds every answer: headers that keep a browser from being misled, and requests that can't be for us.

Wraps the whole application, so that its failures carry the headers too, and passes every part of an answer on as it
comes, so that streams stay streams. What changed something and no route has put on the audit, it puts there.
Sources: CSP Level 3, Fetch, the OWASP Secure Headers Project.
"""

import ipaddress
import json
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.platform.access.asking import SAFE
from services.platform.access.limits import Limits, Refuse
from services.platform.access.rates import Rate
from services.platform.access.settings import LOOPBACK, AccessSettings
from services.platform.access.standing import Standing, begin_standing
from services.platform.problem import MEDIA_TYPE

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; media-src 'self';"
    " connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
OVER_TLS = {"Strict-Transport-Security": "max-age=31536000"}
API = "/v1/"
_TITLE = "The request can't be answered here"


class Headers:
    """The outermost layer of whatever is served."""

    def __init__(self, app: ASGIApp, settings: AccessSettings) -> None:
        self._app = Limits(app, Rate(settings.address_rate), _refusing)
        self._secure = (settings.public_url or "").startswith("https:")
        named = [settings.public_url.split("://", 1)[1]] if settings.public_url else []
        self._hosts = frozenset(_host(name) for name in (*settings.hosts, *named))
        self._domains = tuple(name for name in self._hosts if name.startswith("."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {**ALWAYS, **(OVER_TLS if self._secure or scope.get("scheme") == "https" else {})}
        standing = begin_standing(scope)
        path: str = scope["path"]
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(MutableHeaders(scope=message), headers, standing.cookies)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(scope, *refusal, {}, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            if 200 <= status < 400 and scope["method"] not in SAFE and API in path:
                await _note(standing, Request(scope), f"{scope['method']} {path}")

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not _host(hosts[0]):
            return HTTPStatus.BAD_REQUEST, "Host: must be given, once"
        if not self._is_ours(_host(hosts[0])):
            detail = "Host: isn't one of Muster's names; an operator adds it to MUSTER_HOSTS or MUSTER_PUBLIC_URL"
            return HTTPStatus.MISDIRECTED_REQUEST, detail
        return None

    def _is_ours(self, host: str) -> bool:
        """Say whether a name may be ours: those that were named, and those that no other site can make point here.

        A page of another site reaches us under its own domain name when that is made to point to our address (DNS
        rebinding); it can't do so under an address or a name without dots.
        """
        if host in LOOPBACK or host in self._hosts or "." not in host or host.endswith(self._domains):
            return True
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


def _complete(given: MutableHeaders, headers: dict[str, str], cookies: Iterable[str]) -> None:
    for name, value in headers.items():
        given.setdefault(name, value)
    # What was made for one person is nobody else's; a route that knows better says so.
    given.setdefault("Cache-Control", "private, no-cache" if "etag" in given else "no-store")
    for cookie in cookies:
        given.append("Set-Cookie", cookie)


async def _note(standing: Standing, request: Request, deed: str) -> None:
    """Put on the audit what was done and no route has put there, so that nothing that changes anything is missing."""
    if standing.access is not None and standing.caller is not None and not standing.noted:
        await standing.access.note(standing.caller, "request", deed, request=request)


def _refusing(scope: Scope) -> Refuse:
    return partial(_refuse, scope)


async def _refuse(scope: Scope, status: HTTPStatus, detail: str, headers: dict[str, str], send: Send) -> None:
    path = scope["path"] if scope["path"].isprintable() else "/"
    problem = {"type": "about:blank", "title": _TITLE, "status": status, "detail": detail, "instance": path}
    body = json.dumps(problem).encode()
    given = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "connection": "close", **headers}
    pairs = [(name.lower().encode(), value.encode()) for name, value in given.items()]
    await send({"type": "http.response.start", "status": int(status), "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name]


def _host(value: str) -> str:
    """Take the name out of a Host header: without port, brackets and a last dot."""
    name = value.rsplit("]", 1)[0].lstrip("[") if value.startswith("[") else value.partition(":")[0]
    return name.lower().rstrip(".")
