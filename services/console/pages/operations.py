"""The operator's pages: whether everything runs, what could not be taken, and the proof over the record."""

from typing import Annotated
from uuid import UUID

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from schemas.vocabulary import Role
from services.console.page import Page, page_for

OPERATORS = (Role.ADMINISTRATOR, Role.AUDITOR)


def add_operations(site: FastAPI) -> None:
    """Add the pages."""

    @site.get("/operations", include_in_schema=False)
    async def operations(page: Annotated[Page, page_for(*OPERATORS)], state: str = "open") -> HTMLResponse:
        now = await page.get("/v1/operations")
        letters = await page.get("/v1/dead-letters", state=state)
        return page.render("operations.html.j2", now=now, letters=letters, state=state)

    @site.get("/operations/now", include_in_schema=False)
    async def now(page: Annotated[Page, page_for(*OPERATORS)]) -> HTMLResponse:
        return page.render("operations_now.html.j2", now=await page.get("/v1/operations"))

    @site.get("/operations/invariants", include_in_schema=False)
    async def invariants(page: Annotated[Page, page_for(*OPERATORS)]) -> HTMLResponse:
        return page.render("operations_invariants.html.j2", proof=await page.get("/v1/operations/invariants"))

    @site.get("/operations/dead-letters/{letter_id}", include_in_schema=False)
    async def letter(page: Annotated[Page, page_for(*OPERATORS)], letter_id: UUID) -> HTMLResponse:
        return page.render("dead_letter.html.j2", letter=await page.get(f"/v1/dead-letters/{letter_id}"))
