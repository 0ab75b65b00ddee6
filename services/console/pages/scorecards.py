"""Scorecards as pages: every department or role in one table, and one department whole."""

from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from schemas.base import Slug
from services.console.page import Page, page_for
from services.console.pages import drill_words as words
from services.console.pages import plots

PERIODS = (1, 3, 6, 12, 24)
"""Months that can be chosen."""


def add_scorecards(site: FastAPI) -> None:
    """Add the pages, to both worlds' sites; each reads its own world."""

    @site.get("/scorecards", include_in_schema=False)
    async def scorecards(
        page: Annotated[Page, page_for()], by: str = "department", months: int = 12, answered: str = "all"
    ) -> HTMLResponse:
        found = await page.get("/v1/scorecards", by=by, months=months, answered=answered, limit=200)
        return page.render(
            "scorecards.html.j2",
            words=words,
            found=found,
            by=by,
            months=months,
            answered=answered,
            periods=PERIODS,
            sparks={each["id"]: _spark(each) for each in found["items"]},
        )

    @site.get("/scorecards/{department}", include_in_schema=False)
    async def scorecard(
        page: Annotated[Page, page_for()], department: Slug, months: int = 12, answered: str = "all"
    ) -> HTMLResponse:
        card = await page.get(f"/v1/scorecards/{department}", months=months, answered=answered)
        return page.render(
            "scorecard.html.j2",
            words=words,
            card=card,
            months=months,
            answered=answered,
            periods=PERIODS,
            sparks={key: _spark(card, key, width=320, height=64) for key in ("p50", "p90")},
            role_sparks={each["id"]: _spark(each) for each in card["roles"]},
            dots=plots.dots(card["dots"]),
        )


def _spark(card: dict[str, Any], key: str = "p50", **size: float) -> plots.Spark:
    return plots.spark([month["turnout"][key] for month in card["months"]], **size)
