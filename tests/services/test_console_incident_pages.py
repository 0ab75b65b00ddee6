"""The incident pages: what an officer sees and can do, what others see, and that nothing shown can run."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from schemas import command as order
from schemas.incident import Area
from schemas.vocabulary import Answer, MessageType, Role, Severity
from services.console.inbox import add_inbox_api
from services.console.incidents import add_incidents_api
from services.console.pages.incident import add_incident
from services.console.pages.incident_graph import COLUMNS, GAP_X, WIDTH, draw, wide, wrap
from services.console.plans import add_plans_api
from services.console.site import add_console
from services.intake.accept import Intake
from services.intake.http import make_app
from services.platform.postgres import Pool
from services.platform.report_in import ReportIn
from tests.services.console_world import NOBODY, Door, client_for, person
from tests.services.support import publish_shipped, report
from tests.services.test_console_incidents import SECOND, World

OFFICER, AUDITOR, POLICE, FOREST = "Chen", "Sun", "Wang", "Hu"
CALLERS = (
    person(OFFICER, Role.DUTY_OFFICER),
    person(AUDITOR, Role.AUDITOR),
    person(POLICE, Role.DEPARTMENT, departments=["police"]),
    person(FOREST, Role.DEPARTMENT, departments=["forestry"]),
)
ROOTS = {"shared": "", "actual": "", "exercise": "/exercise"}
DIALOGS = ("activate", "level", "task", "remind", "reassign", "take", "resolve", "inform", "stand-down", "close")


class Site:
    """The pages over a world, with a browser for each person."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.intake = Intake(world.pool, world.outbox, world.clock, world.namespace)
        app = make_app(self.intake, world.pool, dict, Door(*CALLERS))
        add_incidents_api(app, world)
        add_inbox_api(app, world)
        add_plans_api(app, world.pool)
        add_console(app, world.namespace, app.state.access, [add_incident], ROOTS)
        self.clients = {name: client_for(app, name) for name in (OFFICER, AUDITOR, POLICE, FOREST, NOBODY)}

    async def get(self, path: str, who: str = OFFICER, language: str = "en") -> httpx.Response:
        headers = {"Accept": "text/html", "Accept-Language": language}
        return await self.clients[who].get(path, headers=headers)

    async def read(self, path: str, who: str = OFFICER, language: str = "en") -> str:
        found = await self.get(path, who, language)
        assert found.status_code == 200, found.text
        return found.text


@pytest.fixture
async def site(pool: Pool) -> AsyncIterator[Site]:
    await publish_shipped(pool)
    site = Site(World(pool))
    yield site
    for client in site.clients.values():
        await client.aclose()


async def under_way(site: Site, **given: object) -> str:
    """A chemical release that is being answered, with an obstacle, a silence and a no."""
    world = site.world
    rows = await world.report(report(reported_at=world.clock.now(), **given))
    by_task = {(row["task"], row["department"]): row for row in rows}
    await world.hear(by_task[("isolate", "police")], Answer.COMMIT)
    await world.hear(by_task[("block-drains", "urban-management")], Answer.BLOCK, reason="<b>The gate</b> is stuck")
    await world.wait(150 * SECOND)
    return str(rows[0]["incident_id"])


async def test_an_officer_sees_what_is_known_who_does_what_and_why(site: Site) -> None:
    shown = await site.read(f"/incidents/{await under_way(site)}")
    for words in (
        "Chlorine leak at the water works",
        "Hazardous chemical release",
        "Close the isolation zone",
        "Public Security Bureau",
        "Not received",
        "late to answer",
        "nobody has taken it yet",
        "Why this plan",
        'data-ask="level"',
        "Add a task",
    ):
        assert words in shown, words
    assert "&lt;b&gt;The gate&lt;/b&gt; is stuck" in shown
    assert not re.search(r"<script(?![^>]* src=)|\sstyle=|\son\w+=", shown), "nothing that the policy forbids"


async def test_the_page_speaks_chinese(site: Site) -> None:
    shown = await site.read(f"/incidents/{await under_way(site)}", language="zh-CN")
    for words in ("危险化学品泄漏", "未送达", "匹配原因", "超时：应答", "增派任务"):
        assert words in shown, words


async def test_only_officers_are_offered_decisions(site: Site) -> None:
    incident = await under_way(site)
    for who in (AUDITOR, POLICE):
        shown = await site.read(f"/incidents/{incident}", who)
        assert "Close the isolation zone" in shown
        assert "data-ask=" not in shown
        assert (await site.get(f"/incidents/{incident}/ask/close", who)).status_code == 403
    assert (await site.get(f"/incidents/{incident}", FOREST)).status_code == 404
    assert (await site.get(f"/incidents/{incident}", NOBODY)).status_code == 303
    assert (await site.get("/incidents", POLICE)).status_code == 403


async def test_every_decision_has_a_dialog_that_says_what_is_the_case_now(site: Site) -> None:
    incident = await under_way(site)
    state = (await site.clients[OFFICER].get(f"/v1/incidents/{incident}")).json()
    assignment = next(each["id"] for each in state["assignments"] if each["department"] == "police")
    query = (
        f"?plan=hazardous-chemical-release&level=I&assignment_id={assignment}&obstacle_id={state['obstacles'][0]['id']}"
    )
    for name in DIALOGS:
        shown = await site.read(f"/incidents/{incident}/ask/{name}{query}")
        assert f'data-send="/v1/incidents/{incident}/commands"' in shown
        assert 'name="reason"' in shown
    level = await site.read(f"/incidents/{incident}/ask/level{query}")
    assert re.search(r'value="II" required disabled', level)
    assert re.search(r'value="I" required checked', level)
    hand_over = await site.read(f"/incidents/{incident}/ask/reassign{query}")
    assert 'value="fire-rescue"' in hand_over
    assert 'value="police"' not in hand_over, "it has the task already"
    assert (await site.get(f"/incidents/{incident}/ask/party")).status_code == 422
    await site.world.command(order.StandDown, UUID(incident))
    assert "no level to change any more" in await site.read(f"/incidents/{incident}/ask/level{query}")


async def test_what_changes_is_given_as_parts_that_take_their_places(site: Site) -> None:
    incident = await under_way(site)
    whole = await site.read(f"/incidents/{incident}")
    parts = await site.read(f"/incidents/{incident}/now")
    names = re.findall(r'id="(part-[a-z]+)"[^>]* hx-swap-oob="true"', parts)
    assert names == ["part-head", "part-tasks", "part-departments", "part-obstacles", "part-known"]
    assert all(f'id="{name}"' in whole for name in names)
    assert "data-points=" in await site.read(f"/incidents/{incident}/curves")


async def test_the_past_is_shown_as_it_was_and_offers_nothing(site: Site) -> None:
    world = site.world
    then = world.clock.now() + SECOND
    incident = await under_way(site)
    shown = await site.read(f"/incidents/{incident}?as_of={then.isoformat().replace('+', '%2B')}")
    assert "As it was known at" in shown
    assert "data-ask=" not in shown
    assert "late to answer" not in shown
    assert f"/incidents/{incident}/now" not in shown
    early = (then - timedelta(days=1)).isoformat().replace("+", "%2B")
    assert (await site.get(f"/incidents/{incident}?as_of={early}")).status_code == 404
    assert (await site.get(f"/incidents/{incident}?as_of=2026-06-01T08:00:00")).status_code == 422


async def test_the_timeline_is_narrowed_and_exported_with_the_same_words(site: Site) -> None:
    incident = await under_way(site)
    entries = f"/incidents/{incident}/entries"
    assert "Plan activated" in await site.read(entries)
    delays = await site.read(f"{entries}?group=delays&department=")
    assert "Deadline missed" in delays
    assert "Plan activated" not in delays
    assert "timeline.csv?entry=deadline_missed" in delays
    assert "The gate" in await site.read(f"{entries}?q=gate&group=&attention=true")
    assert "No entry is like that" in await site.read(f"{entries}?department=forestry")
    assert "Plan activated" in await site.read(f"{entries}?group=nonsense")


async def test_an_original_alert_is_shown_as_text_and_never_run(site: Site) -> None:
    body = b"<alert><script>alert(1)</script></alert>"
    told = ReportIn(
        status="Actual", message_type=MessageType.ALERT, event="Smoke", reported_by="<i>feed</i>", categories=("Fire",)
    )
    taken = await site.intake.accept(
        told, origin="http:/v1/cap", idempotency_key=None, content_type="application/cap+xml", body=body
    )
    await site.intake.drain()
    waiting = await site.read(f"/incidents/{taken.incident_id}")
    assert "The report is safe and waits to be decided about" in waiting
    shown = await site.read(f"/incidents/{taken.incident_id}/reports/{taken.event_id}")
    assert "&lt;alert&gt;&lt;script&gt;" in shown
    assert "<script>alert" not in shown
    assert "<i>feed" not in shown


async def test_incidents_are_listed_by_state_and_found_by_their_words(site: Site) -> None:
    await under_way(site, headline="Leak one", areas=(Area(description="North"),))
    second = await under_way(site, headline="Leak <two>", areas=(Area(description="South"),), severity=Severity.EXTREME)
    await site.world.command(order.Close, UUID(second))
    await site.world.command(order.Close, UUID(second))
    shown = await site.read("/incidents")
    assert "Leak one" in shown
    assert "Leak &lt;two&gt;" not in shown
    assert "Leak &lt;two&gt;" in await site.read("/incidents?state=closed")
    found = await site.read("/incidents?state=all&q=south")
    assert "Leak &lt;two&gt;" in found
    assert "Leak one" not in found
    assert "No incident is like that" in await site.read("/incidents?state=all&q=volcano")
    closed = await site.read(f"/incidents/{second}")
    assert 'id="do-close"' not in closed


# The drawing


@dataclass(frozen=True)
class Dot:
    """A task of a drawing."""

    id: str
    after: tuple[str, ...] = ()


def test_a_task_stands_behind_the_last_of_those_before_it() -> None:
    graph = draw([Dot("a"), Dot("b", ("a",)), Dot("c", ("a", "b")), Dot("d", ("gone",))], {})
    assert graph is not None
    columns = {node.task.id: node.x // (WIDTH + GAP_X) for node in graph.nodes}
    assert columns == {"a": 0, "b": 1, "c": 2, "d": 0}
    assert {(edge.before, edge.after) for edge in graph.edges} == {("a", "b"), ("a", "c"), ("b", "c")}
    assert len({(node.x, node.y) for node in graph.nodes}) == 4
    assert all(node.x + WIDTH <= graph.width and node.y < graph.height for node in graph.nodes)


def test_tasks_that_hang_on_nothing_fill_rows_below_and_alone_make_no_drawing() -> None:
    assert draw([Dot("a"), Dot("b")], {}) is None
    many = [Dot("a"), Dot("b", ("a",)), *(Dot(f"t{number}") for number in range(COLUMNS + 1))]
    graph = draw(many, {})
    assert graph is not None
    rows = {node.task.id: node.y for node in graph.nodes}
    assert rows["a"] < rows["t0"] == rows[f"t{COLUMNS - 1}"] < rows[f"t{COLUMNS}"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Close the zone", ("Close the zone",)),
        ("Environmental incident report for both grades", ("Environmental incident", "report for both grades")),
        ("封控初始隔离区并登记人员进出情况", ("封控初始隔离区并登记人员进", "出情况")),
        ("Supercalifragilisticexpialidocious", ("Supercalifragilisticexpia…",)),
        ("one two three four five six seven eight nine ten eleven twelve", None),
        ("", ("",)),
    ],
)
def test_titles_are_broken_where_words_end_and_cut_where_there_is_no_room(
    text: str, lines: tuple[str, ...] | None
) -> None:
    found = wrap(text)
    assert all(wide(line) <= 26 for line in found)
    assert found == lines if lines is not None else found[-1].endswith("…")
