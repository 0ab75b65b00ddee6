"""Administration: who may sign in and as what, which programs may, and the audit of what was done."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from schemas.base import Id, Text
from schemas.vocabulary import Role
from services.console.page import Page, page_for
from services.platform.access.tokens import SCOPES

READERS = (Role.ADMINISTRATOR, Role.AUDITOR)
Reading = Annotated[Page, page_for(*READERS)]
Administering = Annotated[Page, page_for(Role.ADMINISTRATOR)]

LIVES = (
    (1, Text(en="1 day", zh="1天")),
    (30, Text(en="30 days", zh="30天")),
    (90, Text(en="90 days", zh="90天")),
    (365, Text(en="1 year", zh="1年")),
)
"""For how many days a token may be issued here; any other end takes the API."""
ACTIONS = {
    "session": Text(en="Signing in and out", zh="登录与退出"),
    "session.begin": Text(en="Signed in", zh="登录"),
    "session.end": Text(en="Signed out", zh="退出"),
    "person": Text(en="People", zh="人员"),
    "person.add": Text(en="Person added", zh="新增人员"),
    "person.change": Text(en="Person changed", zh="修改人员"),
    "person.password": Text(en="Password set", zh="设置密码"),
    "token": Text(en="Tokens", zh="令牌"),
    "token.issue": Text(en="Token issued", zh="签发令牌"),
    "token.revoke": Text(en="Token revoked", zh="吊销令牌"),
    "incident": Text(en="Incidents", zh="事件"),
    "incident.report": Text(en="Report accepted", zh="受理报告"),
    "incident.command": Text(en="Decision accepted", zh="受理决定"),
    "request": Text(en="Other request", zh="其他请求"),
    "refused": Text(en="Refused", zh="拒绝"),
}
OUTCOMES = {
    "done": Text(en="done", zh="完成"),
    "repeated": Text(en="repeated", zh="重复"),
    "wrong-password": Text(en="wrong password", zh="密码错误"),
    "disabled": Text(en="disabled person", zh="已停用人员"),
    "stale-token": Text(en="used after it was changed", zh="令牌更换后再次使用"),
    "not-signed-in": Text(en="not signed in", zh="未登录"),
    "not-allowed": Text(en="not allowed", zh="无权限"),
    "bad-token": Text(en="bad token", zh="无效令牌"),
    "forged": Text(en="forged", zh="伪造请求"),
    "password-change-needed": Text(en="one-time password", zh="一次性密码"),
    "oidc": Text(en="identity provider", zh="统一身份认证"),
    "no-role": Text(en="no role", zh="未授予角色"),
}
"""What the audit's words are called; one that isn't here is shown as it is."""


def add_people_pages(site: FastAPI) -> None:
    """Add the pages."""

    @site.get("/people", include_in_schema=False)
    async def people(page: Reading, cursor: str | None = None) -> HTMLResponse:
        found = await page.get("/v1/people", limit=100, cursor=cursor)
        return page.render("people.html.j2", people=found, departments=await _departments(page), all_roles=list(Role))

    @site.get("/people/tokens", include_in_schema=False)
    async def tokens(page: Reading, cursor: str | None = None) -> HTMLResponse:
        now = datetime.now(UTC)
        return page.render(
            "people_tokens.html.j2",
            tokens=await page.get("/v1/tokens", limit=100, cursor=cursor),
            departments=await _departments(page),
            scopes=SCOPES,
            lives=[((now + timedelta(days=days)).isoformat(timespec="seconds"), words) for days, words in LIVES],
            now=now.isoformat(),
        )

    @site.get("/people/audit", include_in_schema=False)
    async def audit(
        page: Reading,
        action: str = "",
        by: str = "",
        outcome: str = "",
        target: str = "",
        cursor: str | None = None,
    ) -> HTMLResponse:
        asked = {"action": action, "by": by, "outcome": outcome, "target": target}
        wanted = {name: value for name, value in asked.items() if value}
        return page.render(
            "people_audit.html.j2",
            audit=await page.get("/v1/audit", limit=100, cursor=cursor, **wanted),
            asked=asked,
            actions=ACTIONS,
            outcomes=OUTCOMES,
        )

    @site.get("/people/{person_id}", include_in_schema=False)
    async def person(page: Administering, person_id: Id) -> HTMLResponse:
        found = await page.get(f"/v1/people/{person_id}")
        return page.render(
            "people_person.html.j2", person=found, departments=await _departments(page), all_roles=list(Role)
        )


async def _departments(page: Page) -> list[dict[str, Any]]:
    """List the directory, all of it: there are few enough to choose from."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        part = await page.get("/v1/departments", limit=200, cursor=cursor)
        found += part["items"]
        cursor = part["next"]
        if cursor is None:
            return found
