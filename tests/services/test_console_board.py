"""The board: what each open incident's row says as its departments answer, keep silent, are blocked and done."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from uuid_utils.compat import uuid7

from schemas import command as order
from schemas.command import CommandBase
from schemas.envelope import ACKNOWLEDGEMENT, COMMAND
from schemas.incident import Area
from schemas.vocabulary import Answer, Category, MessageType, Role, Severity, Status
from services.console import board, board_row
from services.console.board_api import add_board_api
from services.console.live import Hub
from services.domain.decision import Answered, Commanded
from services.platform.decider import Incoming
from services.platform.kafka import Origin
from services.platform.postgres import Pool
from tests.services.console_world import Door, HandWorld, api, client_for, person
from tests.services.support import answer, publish_shipped, report

HERE = Origin("test", 0, 0, None)
PEOPLE = Door(
    person("Chen", Role.DUTY_OFFICER),
    person("Sun", Role.AUDITOR),
    person("Wang", Role.DEPARTMENT, departments=["police"]),
)
STORM = {"categories": (Category.MET,), "event": "Severe storm warning", "severity": Severity.MODERATE}
UNKNOWN = {"categories": (Category.OTHER,), "event": "Strange lights", "severity": Severity.MINOR}
OUTBREAK = {"categories": (Category.HEALTH,), "event": "Public health outbreak", "severity": Severity.SEVERE}


class World(HandWorld):
    """A world whose board is looked at."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.hub = Hub(pool, self.namespace, self.playbook, self.clock)
        app = api(PEOPLE)
        add_board_api(app, self.hub)
        self.clients = {name: client_for(app, name) for name in ("Chen", "Sun", "Wang", "")}

    async def says(self, row: asyncpg.Record, kind: Answer, **more: Any) -> None:
        said = answer(row, kind, answered_at=self.clock.now(), reason="no crew", by="Li", **more)
        await self._decide(Incoming(Answered(uuid7(), said), ACKNOWLEDGEMENT, HERE))

    async def commands(self, kind: type[CommandBase], incident_id: UUID, **more: Any) -> None:
        given = {"incident_id": incident_id, "status": Status.ACTUAL, "by": "Chen", "reason": "so decided"}
        command: Any = kind(**given | {"decided_at": self.clock.now()} | more)
        await self._decide(Incoming(Commanded(uuid7(), command), COMMAND, HERE))

    async def board(self, who: str = "Chen", **query: Any) -> dict[str, Any]:
        while await self.hub._look():
            pass
        found = await self.clients[who].get("/v1/board", params=query)
        assert found.status_code == 200, found.text
        answered: dict[str, Any] = found.json()
        return answered

    async def row(self) -> dict[str, Any]:
        (row,) = (await self.board())["items"]
        found: dict[str, Any] = row
        return found


@pytest.fixture
async def world(pool: Pool) -> AsyncIterator[World]:
    await publish_shipped(pool)
    world = World(pool)
    yield world
    for client in world.clients.values():
        await client.aclose()


def line(row: dict[str, Any], department: str) -> dict[str, Any]:
    (found,) = [each for each in row["departments"] if each["id"] == department]
    result: dict[str, Any] = found
    return result


async def test_an_order_that_was_not_received_is_told_from_one_that_was_not_answered(world: World) -> None:
    orders = await world.report(report())
    row = await world.row()
    assert row["event"] == "Chemical release"
    assert [plan["plan"] for plan in row["plans"]] == ["hazardous-chemical-release"]
    assert row["level"] == "II"
    assert row["plans"][0]["level_title"] == {"en": "Level II", "zh": "二级响应"}
    police = line(row, "police")
    assert police["title"] == {"en": "Public Security Bureau", "zh": "市公安局"}
    assert (police["state"], police["received"]) == ("issued", False)
    assert row["counts"]["not_received"] == len(orders)
    (of_police,) = [each for each in orders if each["department"] == "police"]
    by = of_police["acknowledge_by"].isoformat().replace("+00:00", "Z")
    assert police["next"] == {"at": by, "what": "acknowledge"}
    await world.says(of_police, Answer.DELIVER)
    row = await world.row()
    assert (line(row, "police")["state"], line(row, "police")["received"]) == ("delivered", True)
    assert (row["counts"]["not_received"], row["counts"]["not_answered"]) == (len(orders) - 1, 1)
    assert (await world.board())["counts"] == {
        "open": 1, "overdue": 0, "not_received": 1, "not_answered": 1, "blocked": 0, "awaiting_confirmation": 0,
        "attention": 0,
    }  # fmt: skip
    await world.says(of_police, Answer.COMMIT)
    row = await world.row()
    assert (line(row, "police")["state"], line(row, "police")["next"]["what"]) == ("committed", "start")
    assert row["counts"]["committed"] == 1


async def test_silence_becomes_overdue_then_escalated_then_the_officers(world: World) -> None:
    """The department whose deadline passed first comes first."""
    await world.report(report())
    await world.wait(timedelta(seconds=61))
    row = await world.row()
    assert row["overdue"]
    assert row["departments"][0]["overdue"]
    assert not line(row, "police")["escalated"]
    await world.wait(timedelta(minutes=4))
    row = await world.row()
    assert line(row, "police")["escalated"]
    assert "escalated" in {item["need"] for item in row["attention"]}
    assert (await world.board())["counts"]["overdue"] == 1


async def test_an_obstacle_is_shown_until_it_is_closed(world: World) -> None:
    orders = await world.report(report())
    incident = orders[0]["incident_id"]
    (police,) = [each for each in orders if each["department"] == "police"]
    await world.says(police, Answer.COMMIT)
    await world.says(police, Answer.BLOCK)
    row = await world.row()
    assert row["blocked"]
    assert line(row, "police")["blocked"]
    (item,) = [item for item in row["attention"] if item["need"] == "obstacle"]
    assert (item["text"], item["owner"]) == ("no crew", None)
    assert (await world.board(only="mine"))["items"] == []
    await world.commands(order.TakeObstacle, incident, obstacle_id=UUID(item["obstacle_id"]))
    (mine,) = (await world.board(only="mine"))["items"]
    assert mine["attention"][0]["owner"] == "Chen"
    await world.commands(order.ResolveObstacle, incident, obstacle_id=UUID(item["obstacle_id"]))
    row = await world.row()
    assert (row["blocked"], row["attention"]) == (False, [])


async def test_what_waits_for_a_decision_says_so(world: World) -> None:
    """No plan, a plan to confirm, and a confirmation that is overdue."""
    await world.report(report(**UNKNOWN))
    await world.report(report(**OUTBREAK))
    board = await world.board()
    needs = {row["event"]: [item["need"] for item in row["attention"]] for row in board["items"]}
    assert needs == {"Strange lights": ["no_plan"], "Public health outbreak": ["confirm"]}
    assert board["counts"]["awaiting_confirmation"] == 1
    (outbreak,) = [row for row in board["items"] if row["plans"]]
    assert outbreak["plans"][0]["state"] == "monitoring"
    assert outbreak["next"] == {"at": outbreak["plans"][0]["confirm_by"], "what": None}
    assert not outbreak["overdue"]
    await world.wait(timedelta(minutes=31))
    first = (await world.board())["items"][0]
    assert (first["event"], first["overdue"]) == ("Public health outbreak", True)
    incident = UUID(first["id"])
    await world.commands(order.Activate, incident, plan=first["plans"][0]["plan"], level="II")
    first = next(row for row in (await world.board())["items"] if row["plans"])
    assert (first["level"], first["attention"]) == ("II", [])


async def test_a_level_that_a_report_asks_for_is_suggested_until_somebody_chooses(world: World) -> None:
    told = report()
    await world.report(told)
    await world.commands(order.ChangeLevel, told.incident_id, level="IV")
    worse = told.model_copy(update={"message_type": MessageType.UPDATE, "severity": Severity.EXTREME})
    await world.report(worse)
    (item,) = suggestions(await world.row())
    assert item["level"] == "I"
    # A process that starts now reads the same from the record.
    later = World(world.pool)
    assert suggestions(await later.row()) == [item]
    await world.commands(order.ChangeLevel, told.incident_id, level="I", plan="hazardous-chemical-release")
    assert suggestions(await world.row()) == []
    for client in later.clients.values():
        await client.aclose()


def suggestions(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in row["attention"] if item["need"] == "level_suggested"]


async def test_a_cancellation_that_asks_the_officer_is_shown(world: World) -> None:
    told = report()
    await world.report(told)
    await world.report(told.model_copy(update={"message_type": MessageType.CANCEL}))
    assert [item["need"] for item in (await world.row())["attention"]] == ["cancel_asked"]


async def test_reports_that_joined_a_response_are_counted_on_its_row(world: World) -> None:
    where = (Area(description="Harbour 7"),)
    await world.report(report(areas=where))
    assert (await world.row())["joined"] == 0
    await world.report(report(areas=where))
    row = await world.row()
    assert row["joined"] == 1
    later = World(world.pool)
    assert (await later.row())["joined"] == 1
    for client in later.clients.values():
        await client.aclose()


async def test_rows_come_overdue_first_then_by_level_then_the_oldest(world: World) -> None:
    async def opened(**given: Any) -> str:
        told = report(reported_at=world.clock.now(), **given)
        await world.report(told)
        world.clock.time += timedelta(seconds=1)
        return str(told.incident_id)

    late = await opened(severity=Severity.MINOR)
    await world.wait(timedelta(minutes=4))
    standby = await opened(**STORM)
    low = await opened(severity=Severity.MODERATE)
    old = await opened()
    new = await opened()
    high = await opened(severity=Severity.EXTREME)
    board = await world.board()
    assert [row["id"] for row in board["items"]] == [late, high, old, new, low, standby]
    assert board["items"] == sorted(board["items"], key=lambda row: row["rank"])
    assert board["total"] == 6
    only = await world.board(level="II")
    assert ([row["id"] for row in only["items"]], only["total"]) == ([old, new], 2)
    assert [row["id"] for row in (await world.board(only="overdue"))["items"]] == [late]
    assert [row["id"] for row in (await world.board(plan="severe-storm"))["items"]] == [standby]
    assert (await world.board(department="police"))["total"] >= 4
    assert (only["levels"], len(only["plans"])) == (["I", "II", "III", "IV"], 3)
    for name, count in only["counts"].items():
        if name != "open":
            assert (await world.board(only=name))["total"] == count, name
    assert only["counts"]["open"] == 6


async def test_a_page_ends_where_the_next_begins(world: World) -> None:
    for _ in range(7):
        await world.report(report())
    seen: list[str] = []
    cursor: str | None = None
    for expected in (3, 3, 1):
        page = await world.board(limit=3, **({"cursor": cursor} if cursor else {}))
        assert len(page["items"]) == expected
        seen += [row["id"] for row in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert seen == [row["id"] for row in (await world.board())["items"]]
    refused = await world.clients["Chen"].get("/v1/board", params={"cursor": "nonsense"})
    assert refused.status_code == 422


async def test_only_what_changed_gets_a_new_revision(world: World) -> None:
    """What was drawn for one revision may be shown until there is another."""
    await world.report(report())
    orders = await world.report(report())
    before = {row["id"]: row["revision"] for row in (await world.board())["items"]}
    await world.says(orders[0], Answer.COMMIT)
    touched = str(orders[0]["incident_id"])
    board = await world.board()
    after = {row["id"]: row["revision"] for row in board["items"]}
    assert [id_ for id_ in after if after[id_] != before[id_]] == [touched]
    assert after[touched] == board["revision"] == max(after.values())
    await world.says(orders[0], Answer.PROGRESS, note="nothing that the board shows")
    assert (await world.board())["revision"] == board["revision"]


async def test_a_closed_incident_leaves_the_board(world: World) -> None:
    told = report()
    await world.report(told)
    await world.row()
    await world.commands(order.Close, told.incident_id)
    row = await world.row()
    assert row["phase"] == "closing"
    waiting = "SELECT * FROM assignments WHERE incident_id = $1 AND state = 'issued'"
    while orders := await world.pool.fetch(waiting, told.incident_id):
        for each in orders:
            await world.says(each, Answer.COMPLETE)
    board = await world.board()
    assert (board["items"], board["counts"]["open"]) == ([], 0)
    assert (await World(world.pool).board())["items"] == []


async def test_the_board_read_at_a_start_is_the_board_that_was_followed(world: World) -> None:
    """Rows kept up to date one by one come to the same as rows read anew."""
    for given in (UNKNOWN, STORM, OUTBREAK, {}, {"severity": Severity.EXTREME}):
        for row in (await world.report(report(**given)))[::2]:
            await world.says(row, Answer.COMMIT)
            await world.board()
    await world.wait(timedelta(minutes=7))
    followed = (await world.board())["items"]
    later = World(world.pool)
    anew = (await later.board())["items"]
    for client in later.clients.values():
        await client.aclose()
    assert [{**row, "revision": 0} for row in anew] == [{**row, "revision": 0} for row in followed]


@pytest.mark.parametrize(("who", "status"), [("Chen", 200), ("Sun", 200), ("Wang", 403), ("", 401)])
async def test_staff_see_the_board_and_departments_do_not(world: World, who: str, status: int) -> None:
    await world.board()
    found: httpx.Response = await world.clients[who].get("/v1/board")
    assert found.status_code == status


async def test_an_incident_that_cannot_be_shown_keeps_no_other_from_view(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = report()
    await world.report(bad)

    def broken(incident: Any, *given: Any, **more: Any) -> Any:
        if incident.id == bad.incident_id:
            raise ValueError("it can't be drawn")
        return drawn(incident, *given, **more)

    drawn = board_row.row_of
    monkeypatch.setattr(board, "row_of", broken)
    good = report()
    await world.report(good)
    assert [row["id"] for row in (await world.board())["items"]] == [str(good.incident_id)]
