"""Access over HTTP: everything at ``/v1/session``, ``/v1/people``, ``/v1/tokens`` and ``/v1/audit``."""

from fastapi import FastAPI

from services.platform.access.access import Access
from services.platform.access.http_audit import add_audit
from services.platform.access.http_oidc import add_oidc
from services.platform.access.http_people import add_people
from services.platform.access.http_session import add_session
from services.platform.access.http_tokens import add_tokens


def add_access(app: FastAPI, access: Access) -> None:
    """Add the routes, and give the app what its guards ask."""
    app.state.access = access
    add_session(app, access)
    add_oidc(app, access)
    add_people(app, access)
    add_tokens(app, access)
    add_audit(app, access)
