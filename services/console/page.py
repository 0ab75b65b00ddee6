"""What every page is made with: who asks, in which language, about which world, and the API it gets its facts from."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from schemas.base import Text
from schemas.vocabulary import Namespace, Role
from schemas.words import PHASES, STEPS, WORDS
from services.console.assets import version
from services.platform.access.guard import Allow
from services.platform.access.principal import Principal
from services.platform.problem import ProblemError

LANGUAGES = {"en": "English", "zh": "简体中文"}
LANGUAGE_COOKIE = "muster_language"
THEME_COOKIE = "muster_theme"

_BY_KIND = {kind.__name__: {each.value: text for each, text in words.items()} for kind, words in WORDS.items()}
_BY_VALUE: dict[str, Text] = {**PHASES, **STEPS}
for _words in reversed(_BY_KIND.values()):
    _BY_VALUE |= _words


def language_of(request: Request) -> str:
    """Choose the language: the person's own choice, else the browser's first that we have, else English."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    for part in request.headers.get("accept-language", "").split(","):
        name = part.split(";")[0].strip().lower()[:2]
        if name in LANGUAGES:
            return name
    return "en"


class Page:
    """One request for a page. ``caller`` is None where nobody has signed in and the page is open to everyone."""

    def __init__(self, request: Request, caller: Principal | None) -> None:
        self.request = request
        self.caller = caller
        self.language = language_of(request)
        self.world: Namespace = request.app.state.world
        self.root: str = request.scope.get("root_path", "")

    async def get(self, path: str, **query: Any) -> Any:
        """Ask our own API, as the person who asks for the page; raises what it answers as `ProblemError`."""
        client: httpx.AsyncClient = self.request.app.state.api
        headers = {name: self.request.headers[name] for name in ("cookie", "host") if name in self.request.headers}
        params = {name: value for name, value in query.items() if value is not None}
        answer = await client.get(path, params=params, headers=headers)
        if answer.is_success:
            return answer.json()
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        kind = str(problem.get("type", "")).rpartition(":")[2] or None
        raise ProblemError(HTTPStatus(answer.status_code), problem.get("detail", answer.reason_phrase), kind=kind)

    def t(self, en: str, zh: str) -> str:
        """Choose between the two languages."""
        return zh if self.language == "zh" else en

    def text(self, value: Text | Mapping[str, str] | str | None) -> str:
        """Write a text that has both languages; one that has only one is written as it is."""
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, Text):
            return value.zh if self.language == "zh" else value.en
        return value[self.language]

    def word(self, value: str | None, kind: str | None = None) -> str:
        """Write a word of a vocabulary, named where its word stands in two, as ``Notice``; an unknown one as it is."""
        known = (_BY_KIND[kind] if kind else _BY_VALUE).get(value or "")
        return self.text(known) if known else value or ""

    def url(self, path: str, world: str | None = None) -> str:
        """Write a path of this world's site, or of another's that is served beside it; ``""`` where it isn't.

        What belongs to neither world, plans and people, is in the ``shared`` one.
        """
        if world is None:
            return f"{self.root}{path}"
        root: str | None = self.request.app.state.roots.get(world)
        return "" if root is None else f"{root}{path}"

    def render(self, template: str, *, code: int = 200, **context: Any) -> HTMLResponse:
        """Write the page."""
        return HTMLResponse(self.fragment(template, **context), code, {"Cache-Control": "no-store"})

    def fragment(self, template: str, **context: Any) -> str:
        """Write a template with what all of them know."""
        return TEMPLATES.get_template(template).render(
            page=self,
            t=self.t,
            text=self.text,
            word=self.word,
            url=self.url,
            caller=self.caller,
            language=self.language,
            languages=LANGUAGES,
            world=self.world.value,
            exercise=self.world is Namespace.EXERCISE,
            roles={role.value for role in self.caller.roles} if self.caller else set(),
            theme=self.request.cookies.get(THEME_COOKIE, "auto"),
            path=self.request.url.path.removeprefix(self.root),
            **context,
        )


class NotSignedInError(Exception):
    """Sends a person to the sign-in page, and back afterwards."""

    def __init__(self, request: Request) -> None:
        super().__init__("not signed in")
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        self.location = f"{request.app.state.roots['shared']}/sign-in?next={quote(target)}"


class PageGuard(Allow):
    """Guards a page as `Allow` guards a route, and gives the `Page`; who isn't signed in is asked to."""

    async def __call__(self, request: Request) -> Page:  # type: ignore[override] # a page knows its caller
        """Make the page, or send the person to sign in."""
        try:
            return Page(request, await super().__call__(request))
        except ProblemError as problem:
            if problem.status is HTTPStatus.UNAUTHORIZED:
                raise NotSignedInError(request) from None
            raise


def page_for(*roles: Role) -> Any:
    """Let only people with one of these roles see a page; without roles, whoever has signed in. For ``Annotated``."""
    return Depends(PageGuard(frozenset(roles)))


STAFF_PAGE = (Role.DUTY_OFFICER, Role.PLANNER, Role.EVALUATOR, Role.AUDITOR, Role.ADMINISTRATOR)
"""Roles that see every incident; a department's member sees those it has an order in."""


def _static(path: str) -> str:
    return f"/static/{path}?v={version(path)}"


def _iso(value: datetime | str) -> str:
    return value if isinstance(value, str) else value.isoformat()


def _when(value: datetime | str | None, form: str = "short") -> Markup:
    """Write a moment; the browser shows it in its own time zone. ``form``: short, time, long or ago."""
    if value is None:
        return Markup("–")
    at = _iso(value)
    return Markup('<time datetime="{}" data-when="{}">{}</time>').format(at, form, at[:16].replace("T", " ") + "Z")


def _due(value: datetime | str | None, what: str = "") -> Markup:
    """Write a deadline as a clock that the browser keeps: time left, or time since it was missed."""
    if value is None:
        return Markup("")
    at = _iso(value)
    return Markup('<time class="due" datetime="{}" data-due="{}"{}>{}</time>').format(
        at, at, Markup(' title="{}"').format(what) if what else "", at[11:19] + "Z"
    )


TEMPLATES = Environment(
    loader=PackageLoader("services.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals.update(static=_static, when=_when, due=_due)
