"""The door: signing in, and changing one's password, which a one-time one asks for at once."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from services.console.page import Page, PageGuard
from services.platform.access.access import Access
from services.platform.access.guard import everyone
from services.platform.access.opening import DEMO_PASSWORD, DEMO_STAFF
from services.platform.access.passwords import SHORTEST
from services.platform.access.paths import own_path
from services.platform.one_line import one_line
from services.platform.problem import ProblemError

PasswordPage = Annotated[Page, Depends(PageGuard(frozenset(), pending=True))]


def add_sign_in(site: FastAPI) -> None:
    """Add the pages."""

    @site.get("/sign-in", include_in_schema=False, dependencies=[everyone()])
    async def sign_in(request: Request, problem: str = "") -> Response:
        access: Access = request.app.state.access
        # Checked here and not in the signature: a bad link must still lead to the door.
        target = own_path(request.query_params.get("next", "/"))
        try:
            caller = await access.identify(request)
        except ProblemError:
            caller = None
        page = Page(request, caller)
        if caller is not None and caller.must_change:
            return page.render("password.html.j2", target=target, shortest=SHORTEST)
        if caller is not None:
            return RedirectResponse(target, 303)
        return page.render(
            "sign_in.html.j2",
            target=target,
            problem=one_line(problem),
            provider=access.provider.settings.label if access.provider else None,
            demo=[*DEMO_STAFF, "fire-rescue"] if access.demo else [],
            demo_password=DEMO_PASSWORD if access.demo else "",
        )

    @site.get("/password", include_in_schema=False)
    async def password(page: PasswordPage) -> Response:
        return page.render("password.html.j2", target="/", shortest=SHORTEST)
