"""The session's cookie: out of scripts' reach, sent to us only, over TLS wherever there is a network between."""

from datetime import timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from services.platform.access.settings import LOOPBACK
from services.platform.problem import ProblemError

PLAIN = "muster_session"
SECURE = f"__Host-{PLAIN}"
"""The prefix lets a browser take it from this host over TLS only (RFC 6265bis, 4.1.3.2)."""


def is_secure(request: Request, public_url: str | None) -> bool:
    """Say whether the browser's side is TLS."""
    return (public_url or "").startswith("https:") or request.url.scheme == "https"


def check_way(request: Request, public_url: str | None) -> None:
    """Refuse to take a password over a network without TLS; raises `ProblemError`."""
    if not is_secure(request, public_url) and request.url.hostname not in LOOPBACK:
        detail = "signing in takes https; put a proxy with TLS before Muster and name it in MUSTER_PUBLIC_URL"
        raise ProblemError(HTTPStatus.FORBIDDEN, detail, kind="not-secure")


def read_cookie(request: Request, name: str = PLAIN) -> str | None:
    """Read a cookie of ours; over TLS only the one that nobody else can have set."""
    found = request.cookies.get(f"__Host-{name}")
    return found if found is not None or request.url.scheme == "https" else request.cookies.get(name)


def write_cookie(
    token: str, *, secure: bool, lasts: timedelta | None = None, name: str = PLAIN, path: str = "/"
) -> str:
    """Write the value of a Set-Cookie header; with ``lasts`` zero the browser forgets it."""
    response = Response()
    response.set_cookie(
        f"__Host-{name}" if secure else name,
        token,
        max_age=None if lasts is None else int(lasts.total_seconds()),
        path=path,
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    return response.headers["set-cookie"]
