"""A department over HTTP: what it may read, what it may answer, and that an answer counts once."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from uuid_utils.compat import uuid7

from schemas.envelope import ACKNOWLEDGEMENT, read_message
from schemas.vocabulary import Answer, Namespace, Role
from services.console.answers import add_answers
from services.console.inbox import add_inbox_api
from services.dispatch import service as dispatch
from services.domain.decision import Outcome
from services.platform.acceptance import Acceptance
from services.platform.invariants import check_invariants
from services.platform.postgres import Pool
from services.platform.queries import query
from services.platform.runtime import Runtime
from services.playbooks.stored import directory_from, plan_from
from services.tracking import service as tracking
from tests.services.console_world import NOBODY, Door, HandWorld, api, client_for, person
from tests.services.support import publish_shipped, report, send, sent_report, settings, until

CALLERS = (
    person("Officer Wang", Role.DEPARTMENT, departments=["police"]),
    person("Medic Zhou", Role.DEPARTMENT, departments=["ems"]),
    person("Secretary Li", Role.DEPARTMENT, departments=["city-government"]),
    person("Duty officer Chen", Role.DUTY_OFFICER),
    person("Auditor Sun", Role.AUDITOR),
)


class Console:
    """The application over a world, with a client for each person."""

    def __init__(self, world: HandWorld) -> None:
        self.world = world
        self.app = api(Door(*CALLERS))
        add_inbox_api(self.app, world)
        self.accepting: Acceptance = add_answers(self.app, world)
        self.clients = {caller.name: client_for(self.app, caller.name) for caller in CALLERS}
        self.clients[NOBODY] = client_for(self.app, NOBODY)

    async def get(self, who: str, path: str, **headers: str) -> httpx.Response:
        return await self.clients[who].get(path, headers=headers)

    async def answer(
        self, who: str, assignment: object, answer: str, key: str | None = None, **words: Any
    ) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        path = f"/v1/assignments/{assignment}/answers"
        return await self.clients[who].post(path, json={"answer": answer, **words}, headers=headers)

    async def orders(self, who: str, department: str, **query: Any) -> list[dict[str, Any]]:
        found = await self.clients[who].get(f"/v1/departments/{department}/assignments", params=query)
        assert found.status_code == 200, found.text
        items: list[dict[str, Any]] = found.json()["items"]
        return items


@pytest.fixture
async def console(pool: Pool) -> AsyncIterator[Console]:
    await publish_shipped(pool)
    console = Console(HandWorld(pool))
    yield console
    await console.accepting.drain()
    for client in console.clients.values():
        await client.aclose()


async def orders_of(console: Console, department: str, **given: Any) -> list[asyncpg.Record]:
    given.setdefault("reported_at", console.world.clock.now())
    return [row for row in await console.world.report(report(**given)) if row["department"] == department]


def problem(response: httpx.Response, status: int, kind: str) -> str:
    assert response.status_code == status, response.text
    document = response.json()
    assert document["type"] == f"urn:muster:problem:{kind}"
    return str(document["detail"])


async def test_an_answer_goes_out_on_the_departments_own_topic_and_moves_the_order(console: Console) -> None:
    [order] = await orders_of(console, "police")
    answered = await console.answer("Officer Wang", order["id"], "commit", read_back="100 m, all round", note="2 cars")
    assert answered.status_code == 202, answered.text
    assert answered.headers["location"] == f"/v1/assignments/{order['id']}"
    [message] = console.world.outbox.published
    assert message.topic == "muster.actual.acknowledgements.police"
    envelope, told = read_message(message.envelope.headers(), message.value, ACKNOWLEDGEMENT)
    assert str(envelope.id) == answered.json()["event_id"]
    assert (told.answer, told.by, told.department) == (Answer.COMMIT, "Officer Wang", "police")
    assert [decision.outcome for decision in await console.world.track()] == [Outcome.APPLIED]
    shown = (await console.get("Officer Wang", f"/v1/assignments/{order['id']}")).json()
    assert (shown["state"], shown["answered_by"], shown["read_back"]) == (
        "committed",
        "Officer Wang",
        "100 m, all round",
    )
    assert [said["note"] for said in shown["said"]] == ["2 cars"]


async def test_by_is_who_is_signed_in_and_cannot_be_said(console: Console) -> None:
    [order] = await orders_of(console, "police")
    detail = problem(await console.answer("Officer Wang", order["id"], "commit", by="The mayor"), 422, "invalid")
    assert detail.startswith("by:")
    assert console.world.outbox.published == []


@pytest.mark.parametrize("who", ["Medic Zhou", "Secretary Li", "Duty officer Chen", "Auditor Sun"])
async def test_only_a_member_of_the_department_answers(console: Console, who: str) -> None:
    [order] = await orders_of(console, "police")
    answered = await console.answer(who, order["id"], "commit", read_back="understood")
    assert answered.status_code == 403, answered.text
    assert await console.world.pool.fetchval("SELECT count(*) FROM reports") == 0


async def test_nobody_answers_without_having_signed_in(console: Console) -> None:
    [order] = await orders_of(console, "police")
    problem(await console.answer(NOBODY, order["id"], "commit"), 401, "not-signed-in")


async def test_an_unknown_order_is_not_there(console: Console) -> None:
    problem(await console.answer("Officer Wang", uuid7(), "commit"), 404, "unknown-assignment")
    problem(await console.get("Officer Wang", f"/v1/assignments/{uuid7()}"), 404, "unknown-assignment")
    problem(await console.get("Officer Wang", "/v1/departments/nobody"), 404, "unknown-department")


async def test_a_repeat_with_its_key_gets_the_first_answer_and_counts_once(console: Console) -> None:
    [order] = await orders_of(console, "police")
    words = {"reason": "the bridge is closed"}
    first = await console.answer("Officer Wang", order["id"], "block", key="tap-1", **words)
    again = await console.answer("Officer Wang", order["id"], "block", key="tap-1", **words)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json() | {"repeated": True}
    await console.world.track()
    done = await console.answer("Officer Wang", order["id"], "complete", key="tap-2", read_back="understood")
    await console.world.track()
    late = await console.answer("Officer Wang", order["id"], "block", key="tap-1", **words)
    assert (done.status_code, late.status_code) == (202, 200), "the order is over, and yet this was said before"
    assert late.json()["event_id"] == first.json()["event_id"]
    assert await console.world.pool.fetchval("SELECT count(*) FROM obstacles") == 1
    other = await console.answer("Officer Wang", order["id"], "block", key="tap-1", reason="something else")
    problem(other, 409, "conflict")


async def test_taps_at_the_same_moment_with_one_key_count_once(console: Console) -> None:
    [order] = await orders_of(console, "police")
    answers = await asyncio.gather(
        *(console.answer("Officer Wang", order["id"], "block", key="tap", reason="no way in") for _ in range(5))
    )
    assert sorted(each.status_code for each in answers) == [200, 200, 200, 200, 202]
    assert len({each.json()["event_id"] for each in answers}) == 1
    assert len(console.world.outbox.published) == 1


async def test_an_answer_that_the_broker_lost_is_published_again(console: Console) -> None:
    async def stuck() -> int:
        spans = ("actual", timedelta(0), timedelta(hours=1))
        return len(await console.world.pool.fetch(query("unstick_messages"), *spans))

    [order] = await orders_of(console, "police")
    await console.answer("Officer Wang", order["id"], "commit", read_back="100 m")
    await asyncio.sleep(0.01)
    assert await stuck() == 1
    await console.world.pool.execute("UPDATE outbox SET published_at = now() WHERE published_at IS NULL")
    await console.world.track()
    assert await stuck() == 0


async def test_an_order_that_asks_for_it_is_not_taken_on_without_a_read_back(console: Console) -> None:
    [order] = await orders_of(console, "police")
    refused = problem(await console.answer("Officer Wang", order["id"], "commit"), 409, "refused")
    assert "read-back" in refused
    assert console.world.outbox.published == []


async def test_a_read_back_on_its_way_to_tracking_counts_for_the_answers_behind_it(console: Console) -> None:
    """A phone that was offline sends all it has kept at once; tracking may not have decided the first by then."""
    [order] = await orders_of(console, "police")
    answers = [
        await console.answer("Officer Wang", order["id"], "commit", read_back="close 100 m all round"),
        await console.answer("Officer Wang", order["id"], "start"),
        await console.answer("Officer Wang", order["id"], "arrive"),
        await console.answer("Officer Wang", order["id"], "complete"),
    ]
    assert [each.status_code for each in answers] == [202] * 4
    refused = await console.answer("Officer Wang", order["id"], "progress", note="one more thing")
    assert "completed already" in problem(refused, 409, "refused")
    assert {decision.outcome for decision in await console.world.track()} == {Outcome.APPLIED}


async def test_an_order_that_is_over_is_refused_at_once(console: Console) -> None:
    [order] = await orders_of(console, "police")
    assert (await console.answer("Officer Wang", order["id"], "decline", reason="all out")).status_code == 202
    await console.world.track()
    refused = problem(await console.answer("Officer Wang", order["id"], "start", read_back="x"), 409, "refused")
    assert "declined already" in refused
    receipt = await console.answer("Officer Wang", order["id"], "deliver")
    assert receipt.status_code == 202, "a receipt is a fact about the message"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ({"answer": "decline"}, "reason"),
        ({"answer": "decline", "reason": "  "}, "reason"),
        ({"answer": "delegate", "reason": "theirs"}, "to"),
        ({"answer": "commit", "to": "ems"}, "to"),
        ({"answer": "commit", "obstacle": "a wall"}, "obstacle"),
        ({"answer": "dance"}, "answer"),
        ({"answer": "progress", "note": "nul \u0000"}, "NUL"),
        ({"answer": "progress", "occurred_at": "2026-06-01T08:00:00"}, "occurred_at"),
    ],
)
async def test_what_cannot_be_taken_is_refused_with_its_field(
    console: Console, words: dict[str, Any], part: str
) -> None:
    [order] = await orders_of(console, "police")
    path = f"/v1/assignments/{order['id']}/answers"
    detail = problem(await console.clients["Officer Wang"].post(path, json=words), 422, "invalid")
    assert part in detail


async def test_an_answer_that_waited_for_a_connection_keeps_its_own_time(console: Console) -> None:
    [order] = await orders_of(console, "ems")
    issued = order["issued_at"]
    console.world.clock.time += timedelta(minutes=10)
    tapped = issued + timedelta(minutes=2)
    await console.answer("Medic Zhou", order["id"], "commit", occurred_at=tapped.isoformat())
    future = (issued + timedelta(days=1)).isoformat()
    await console.answer("Medic Zhou", order["id"], "start", occurred_at=future)
    await console.world.track()
    times = (await console.get("Medic Zhou", f"/v1/assignments/{order['id']}")).json()["times"]
    assert datetime.fromisoformat(times["committed_at"]) == tapped
    assert datetime.fromisoformat(times["started_at"]) == console.world.clock.now(), "nobody starts in the future"


async def test_a_delegated_order_goes_to_the_other_department(console: Console) -> None:
    [order] = await orders_of(console, "police")
    refused = await console.answer("Officer Wang", order["id"], "delegate", to="nobody-there", reason="theirs")
    assert "no department" in problem(refused, 409, "refused")
    await console.answer("Officer Wang", order["id"], "delegate", to="urban-management", reason="nearer")
    await console.world.track()
    shown = (await console.get("Officer Wang", f"/v1/assignments/{order['id']}")).json()
    assert (shown["state"], shown["told"]["notice"]) == ("superseded", "superseded")
    heirs = [each for each in await console.orders("Auditor Sun", "urban-management") if each["told"]["parent_id"]]
    assert [each["told"]["task"] for each in heirs] == ["isolate"]


async def test_an_order_is_read_by_its_department_and_by_staff_only(console: Console) -> None:
    [order] = await orders_of(console, "police")
    for who in ("Officer Wang", "Duty officer Chen", "Auditor Sun"):
        assert (await console.get(who, f"/v1/assignments/{order['id']}")).status_code == 200
    problem(await console.get("Medic Zhou", f"/v1/assignments/{order['id']}"), 403, "not-allowed")
    problem(await console.get("Medic Zhou", "/v1/departments/police/assignments"), 403, "not-allowed")
    problem(await console.get(NOBODY, "/v1/departments/police/assignments"), 401, "not-signed-in")


async def test_an_order_is_shown_as_it_was_told_with_how_it_stands(console: Console) -> None:
    [order] = await orders_of(console, "police")
    shown = await console.get("Officer Wang", f"/v1/assignments/{order['id']}")
    told = shown.json()
    assert told["told"]["title"] == {"en": "Close the isolation zone", "zh": "封控初始隔离区"}
    assert told["told"]["read_back"] is True
    assert (told["state"], told["is_copy"], told["blocked"], told["level"]) == ("issued", False, False, "II")
    assert datetime.fromisoformat(told["due_at"]) == order["acknowledge_by"]
    unchanged = await console.get(
        "Officer Wang", f"/v1/assignments/{order['id']}", **{"If-None-Match": shown.headers["etag"]}
    )
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    await console.answer("Officer Wang", order["id"], "block", obstacle="The gate is locked")
    await console.world.track()
    changed = await console.get(
        "Officer Wang", f"/v1/assignments/{order['id']}", **{"If-None-Match": shown.headers["etag"]}
    )
    assert changed.status_code == 200
    assert changed.json()["blocked"] is True
    [obstacle] = changed.json()["obstacles"]
    assert (obstacle["description"], obstacle["owner"]) == ("The gate is locked", "emergency-management")


async def test_silence_shows_as_notices_and_as_a_copy_with_the_superior(console: Console) -> None:
    [order] = await orders_of(console, "police")
    await console.answer("Officer Wang", order["id"], "deliver")
    await console.world.track()
    await console.world.wait(timedelta(minutes=5))
    shown = (await console.get("Officer Wang", f"/v1/assignments/{order['id']}")).json()
    assert [(each["notice"], each["to"]) for each in shown["notices"]] == [
        ("issued", "police"),
        ("reminded", "police"),
        ("escalated", "police"),
    ]
    assert shown["overdue"] == ["acknowledge", "start"]
    copies = [each for each in await console.orders("Secretary Li", "city-government") if each["is_copy"]]
    [copy] = [each for each in copies if each["department"] == "police"]
    assert (copy["id"], copy["department"], copy["told"]["addressed_to"]) == (str(order["id"]), "police", "superior")
    seen = (await console.get("Secretary Li", f"/v1/assignments/{order['id']}")).json()
    assert (seen["is_copy"], [each["to"] for each in seen["notices"]]) == (True, ["city-government"])
    problem(await console.answer("Secretary Li", order["id"], "commit", read_back="x"), 403, "not-yours")
    every = (await console.get("Duty officer Chen", f"/v1/assignments/{order['id']}")).json()
    assert (every["is_copy"], len(every["notices"])) == (False, 4)


async def test_orders_come_by_urgency_and_page_by_page(console: Console) -> None:
    for minutes in (3, 0, 1):
        console.world.clock.time += timedelta(minutes=minutes)
        await orders_of(console, "fire-rescue")
    every = await console.orders("Auditor Sun", "fire-rescue", limit=200)
    assert [each["due_at"] for each in every] == sorted(each["due_at"] for each in every)
    collected: list[str] = []
    cursor = None
    while True:
        place = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (
            await console.clients["Auditor Sun"].get("/v1/departments/fire-rescue/assignments", params=place)
        ).json()
        collected += [each["id"] for each in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert collected == [each["id"] for each in every]
    assert len(set(collected)) == len(collected) >= 6
    bad = await console.get("Auditor Sun", "/v1/departments/fire-rescue/assignments?cursor=abc")
    problem(bad, 422, "invalid-request")


async def test_ended_orders_come_last_and_only_when_asked_for(console: Console) -> None:
    first = (await orders_of(console, "ems"))[0]
    await console.answer("Medic Zhou", first["id"], "decline", reason="no crew")
    await console.world.track()
    second = (await orders_of(console, "ems"))[0]
    assert [each["id"] for each in await console.orders("Medic Zhou", "ems")] == [str(second["id"])]
    every = await console.orders("Medic Zhou", "ems", state="all")
    assert [(each["id"], each["state"]) for each in every] == [
        (str(second["id"]), "issued"),
        (str(first["id"]), "declined"),
    ]


async def test_the_directory_names_persons_to_staff_and_to_their_own_department(console: Console) -> None:
    def names(found: httpx.Response) -> dict[str, bool]:
        return {each["id"]: each["liaison"] is not None for each in found.json()["items"]}

    own = names(await console.get("Officer Wang", "/v1/departments?limit=200"))
    assert [name for name, named in own.items() if named] == ["police"]
    staff = names(await console.get("Auditor Sun", "/v1/departments?limit=200"))
    assert all(staff.values())
    assert len(staff) == len(own) > 20
    page = (await console.get("Auditor Sun", "/v1/departments?limit=1")).json()
    following = (await console.get("Auditor Sun", f"/v1/departments?limit=1&cursor={page['next']}")).json()
    assert [page["items"][0]["id"], following["items"][0]["id"]] == sorted(staff)[:2]
    one = (await console.get("Medic Zhou", "/v1/departments/police")).json()
    assert (one["title"]["zh"], one["duty_phone"], one["liaison"]) == ("市公安局", "555-0110", None)
    decides = [
        name for name in staff if (await console.get("Auditor Sun", f"/v1/departments/{name}")).json()["decides"]
    ]
    assert decides == ["emergency-management"]


async def test_the_other_worlds_orders_are_not_there(pool: Pool) -> None:
    await publish_shipped(pool)
    real = HandWorld(pool)
    rows = await real.report(report(reported_at=real.clock.now()))
    order = next(row for row in rows if row["department"] == "police")
    console = Console(HandWorld(pool, Namespace.EXERCISE))
    problem(await console.get("Officer Wang", f"/v1/assignments/{order['id']}"), 404, "unknown-assignment")
    problem(await console.answer("Officer Wang", order["id"], "commit"), 404, "unknown-assignment")
    assert await console.orders("Officer Wang", "police") == []


async def test_an_answer_reaches_tracking_over_the_broker(pool: Pool, database: str, broker: str) -> None:
    """The whole way, with real servers: in over HTTP, out on the topic, decided, on record, every invariant sound."""
    await publish_shipped(pool)
    runtime = await Runtime.open(settings(database, broker), "test", plan_from, directory_from)
    for service in (dispatch, tracking):
        service.attach(runtime)
    told = report(reported_at=datetime.now(UTC))
    async with runtime:
        app = api(Door(*CALLERS))
        accepting = add_answers(app, runtime)
        await send(broker, sent_report(told))

        async def order() -> UUID | None:
            found: UUID | None = await pool.fetchval(
                "SELECT id FROM assignments WHERE incident_id = $1 AND department = 'police'", told.incident_id
            )
            return found

        assignment = await until(order)
        async with client_for(app, "Officer Wang") as client:
            path = f"/v1/assignments/{assignment}/answers"
            body = {"answer": "commit", "read_back": "close 100 m all round"}
            for _ in range(2):
                taken = await client.post(path, json=body, headers={"Idempotency-Key": "tap"})
        assert taken.status_code == 200

        async def committed() -> object:
            return await pool.fetchval("SELECT committed_at FROM assignments WHERE id = $1", assignment)

        assert await until(committed)
        await accepting.drain()
        entries = await pool.fetch(
            "SELECT by, detail FROM timeline WHERE assignment_id = $1 AND entry = 'assignment_committed'", assignment
        )
        assert [(row["by"], json.loads(row["detail"])["read_back"]) for row in entries] == [
            ("Officer Wang", "close 100 m all round")
        ]

        async def published() -> bool:
            return bool(await pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"))

        await until(published)
        assert not [finding for finding in await check_invariants(pool) if finding.broken]
