"""Whether a browser's request comes from our own pages: what keeps other sites from acting in a person's name."""

import hmac
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.requests import Request

from services.platform.access.principal import Principal
from services.platform.problem import ProblemError

CSRF_HEADER = "X-CSRF-Token"
_OURS = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site (Fetch Metadata, 2.3): from this very site, or by the person's own hand."""


def own_origin(request: Request, public_url: str | None) -> str:
    """Say where this site is, as a browser sees it."""
    return public_url or f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"


def check_origin(request: Request, public_url: str | None) -> None:
    """Refuse a request that a browser says comes from another site; raises `ProblemError`."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    if site not in _OURS or (origin is not None and _told(origin) != _told(own_origin(request, public_url))):
        raise _forged("the request comes from another site; nothing was done")


def check_forgery(request: Request, caller: Principal, public_url: str | None) -> None:
    """Refuse an unsafe request of a session that lacks the session's own token; raises `ProblemError`."""
    check_origin(request, public_url)
    given = request.headers.get(CSRF_HEADER, "")
    if caller.csrf is None or not hmac.compare_digest(given.encode(), caller.csrf.encode()):
        raise _forged(f"{CSRF_HEADER}: must be the session's, as GET /v1/session gives it; nothing was done")


def _forged(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.FORBIDDEN, detail, kind="forged")


def _told(origin: str) -> tuple[str, str | None, int | None]:
    """Compare origins by their parts: a port that is the scheme's own may be left out."""
    try:
        parts = urlsplit(origin)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return ("", None, None)
    return parts.scheme, parts.hostname, port
