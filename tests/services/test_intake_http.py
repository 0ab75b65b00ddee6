"""Reports, alerts and decisions over HTTP: accepted once and durable, or refused with a problem document."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from uuid_utils.compat import uuid7

from schemas.envelope import COMMAND, INCIDENT, read_message
from schemas.incident import IncidentReport
from schemas.vocabulary import Namespace, Role
from services.intake import http
from services.intake.accept import Intake
from services.platform.access.principal import Principal
from services.platform.backlog import Backlog
from services.platform.clock import SystemClock
from services.platform.cursor import write_cursor
from services.platform.outbox import Outgoing
from services.platform.postgres import Pool
from services.platform.queries import query
from services.platform.report_in import ReportIn
from tests.contract.test_cap import ALERT
from tests.services.support import OFFICER, NotedAccess

FIRE = {
    "status": "Exercise",
    "message_type": "Alert",
    "categories": ["Fire"],
    "event": "High-rise fire",
    "severity": "Severe",
    "reported_by": "control room",
    "parameters": {"storeys": 30, "kind": "residential"},
}
OTHERS = (
    Principal(uuid7(), "planner", frozenset({Role.PLANNER})),
    Principal(uuid7(), "police", frozenset({Role.DEPARTMENT}), frozenset({"police"})),
    Principal(uuid7(), "health", frozenset({Role.DEPARTMENT}), frozenset({"health"})),
    Principal(uuid7(), "sensor", frozenset(), may_report=True),
)


class RecordingOutbox:
    """Stands where the outbox stands: keeps what it is told to publish, or is as slow or broken as a broker can be."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.published: list[Outgoing] = []
        self.asked_about: list[UUID] = []
        self.fault: Exception | None = None
        self.holds: asyncio.Event | None = None

    async def publish(self, messages: Sequence[Outgoing], incidents: Iterable[UUID]) -> None:
        if self.fault is not None:
            raise self.fault
        if self.holds is not None:
            await self.holds.wait()
        self.published += messages
        self.asked_about += incidents
        await self._pool.execute(query("mark_published"), [message.seq for message in messages])


class Api:
    """The application, its client and what is behind it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.outbox = RecordingOutbox(pool)
        self.ready = {"broker": True}
        self.backlog = Backlog(pool, Namespace.EXERCISE, 1_000)
        self.intake = Intake(pool, self.outbox, SystemClock(), Namespace.EXERCISE)
        self.access = NotedAccess(OFFICER, *OTHERS)
        self.app = http.make_app(self.intake, pool, lambda: self.ready, self.access)
        self.client = self.of("officer")
        self.nobody = httpx.AsyncClient(transport=self.client._transport, base_url="http://muster")

    def of(self, name: str) -> httpx.AsyncClient:
        """A client of one of those it knows."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
        return httpx.AsyncClient(transport=transport, base_url="http://muster", headers=self.access.bearer(name))

    async def report(self, key: str | None = None, **fields: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.client.post("/v1/incidents", json=FIRE | fields, headers=headers)

    async def send(self, body: bytes, content_type: str = "application/json") -> httpx.Response:
        return await self.client.post("/v1/incidents", content=body, headers={"Content-Type": content_type})

    async def cap(self, body: str | bytes, **headers: str) -> httpx.Response:
        content = body.encode() if isinstance(body, str) else body
        return await self.client.post(
            "/v1/cap", content=content, headers={"Content-Type": "application/cap+xml", **headers}
        )

    async def count(self, table: str) -> int:
        return int(await self.pool.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - the test's own word


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    api = Api(pool)
    yield api
    await api.intake.drain()


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document.keys() >= {"type", "title", "status", "detail", "instance"}
    assert document["status"] == status
    assert document["detail"].isprintable()
    return document


async def test_a_report_is_stored_published_and_answered_with_its_incident(api: Api) -> None:
    response = await api.report()
    answer = response.json()
    assert response.status_code == 202
    assert answer["repeated"] is False
    assert response.headers["location"] == f"/v1/incidents/{answer['incident_id']}"
    row = await api.pool.fetchrow("SELECT * FROM reports")
    assert row is not None
    assert (str(row["event_id"]), str(row["incident_id"])) == (answer["event_id"], answer["incident_id"])
    assert json.loads(row["body"]) == FIRE
    assert (row["origin"], row["content_type"]) == ("http:/v1/incidents", "application/json")
    [message] = api.outbox.published
    assert message.topic == "muster.exercise.incidents"
    envelope, report = read_message(message.envelope.headers(), message.value, INCIDENT)
    assert str(envelope.id) == answer["event_id"]
    assert isinstance(report, IncidentReport)
    assert (str(report.incident_id), report.event) == (answer["incident_id"], "High-rise fire")
    assert report.parameters == {"storeys": 30.0, "kind": "residential"}


async def test_the_outbox_holds_the_message_whatever_becomes_of_the_broker(api: Api) -> None:
    api.outbox.fault = RuntimeError("the broker is not connected")
    assert (await api.report()).status_code == 202
    swept = await api.pool.fetch(query("sweep_messages"), "exercise", timedelta(0), 10, None)
    assert swept == [], "this process holds its message for a while"
    await api.pool.execute("UPDATE outbox SET lease_until = now()")
    assert len(await api.pool.fetch(query("sweep_messages"), "exercise", timedelta(0), 10, None)) == 1


async def test_a_broker_that_hangs_does_not_hold_the_sender_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.platform.acceptance.PUBLISH_WITHIN", 0.01)
    api.outbox.holds = asyncio.Event()
    assert (await api.report()).status_code == 202
    assert api.outbox.published == []
    api.outbox.holds.set()
    await api.intake.drain()
    assert len(api.outbox.published) == 1


async def test_what_is_committed_behind_an_unpublished_message_waits_for_it(api: Api) -> None:
    api.outbox.fault = RuntimeError("away")
    first = (await api.report()).json()
    api.outbox.fault = None
    second = await api.report(message_type="Update", incident_id=first["incident_id"])
    assert second.json()["incident_id"] == first["incident_id"]
    assert api.outbox.published == [], "order is kept: whoever holds the first publishes both"
    assert api.outbox.asked_about == [UUID(first["incident_id"])]
    leases = await api.pool.fetch("SELECT lease_until > clock_timestamp() AS held FROM outbox ORDER BY seq")
    assert [row["held"] for row in leases] == [True, False]


async def test_the_same_key_and_body_get_the_first_answer_again(api: Api) -> None:
    first = await api.report("k-1")
    again = await api.report('"k-1"')
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json() | {"repeated": True}
    assert again.headers["location"] == first.headers["location"]
    assert (await api.count("reports"), await api.count("outbox"), len(api.outbox.published)) == (1, 1, 1)


async def test_the_same_key_for_something_else_is_a_conflict(api: Api) -> None:
    await api.report("k-1")
    assert problem(await api.report("k-1", event="Flood"), 409)["type"] == "urn:muster:problem:conflict"
    problem(await api.report("k-1", status="Test"), 409)
    problem(await api.cap(ALERT, **{"Idempotency-Key": "k-1"}), 409)
    assert (await api.count("reports"), await api.count("outbox"), await api.count("dead_letters")) == (1, 1, 0)


async def test_many_repeats_at_once_are_accepted_once(api: Api) -> None:
    answers = await asyncio.gather(*(api.report("k-1") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [202]
    assert len({answer.json()["event_id"] for answer in answers}) == 1
    assert await api.count("outbox") == 1


async def test_without_a_key_every_report_is_a_new_one(api: Api) -> None:
    first, second = (await api.report()).json(), (await api.report()).json()
    assert first["incident_id"] != second["incident_id"]


@pytest.mark.parametrize("key", ["", " ", '""', "x" * 256, "clé"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    response = await api.client.post("/v1/incidents", json=FIRE, headers=[(b"Idempotency-Key", key.encode())])
    assert problem(response, 400)["detail"].startswith("Idempotency-Key: send 1 to 255 ")


async def test_an_alert_is_known_by_its_bytes(api: Api) -> None:
    first, again = await api.cap(ALERT), await api.cap(ALERT)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json() | {"repeated": True}


async def test_the_same_alert_with_other_content_is_a_further_report_of_its_incident(api: Api) -> None:
    first, other = await api.cap(ALERT), await api.cap(ALERT.replace("14th", "15th"))
    assert (first.status_code, other.status_code) == (202, 202)
    assert other.json()["incident_id"] == first.json()["incident_id"]
    assert await api.count("outbox") == 2


async def test_an_update_finds_the_incident_of_the_alert_it_names(api: Api) -> None:
    first = (await api.cap(ALERT)).json()
    reference = "<references>dispatch@example.org,A-1,2026-06-01T07:59:00-00:00</references>"
    update = ALERT.replace("A-1", "A-2").replace("<msgType>Alert", "<msgType>Update").replace("<note/>", reference)
    assert (await api.cap(update)).json()["incident_id"] == first["incident_id"]
    cancel = update.replace("A-2", "A-3").replace("Update", "Cancel").replace(",A-1,", ",A-2,")
    assert (await api.cap(cancel.replace("A-2", "A-1"))).json()["incident_id"] == first["incident_id"]


async def test_an_update_that_comes_before_its_alert_meets_it(api: Api) -> None:
    reference = "<references>dispatch@example.org,A-1,2026-06-01T09:59:00+02:00</references>"
    update = ALERT.replace("A-1", "A-2").replace("<msgType>Alert", "<msgType>Update").replace("<note/>", reference)
    early = (await api.cap(update)).json()
    assert (await api.cap(ALERT)).json()["incident_id"] == early["incident_id"]


async def test_an_update_in_json_that_only_names_alerts_finds_their_incident(api: Api) -> None:
    first = (await api.cap(ALERT)).json()
    known = {"sender": "dispatch@example.org", "identifier": "A-1", "sent": "2026-06-01T07:59:00Z"}
    update = await api.report(message_type="Update", references=[known])
    assert update.json()["incident_id"] == first["incident_id"]


async def test_alerts_at_once_about_one_incident_all_find_it(api: Api) -> None:
    answers = await asyncio.gather(*(api.cap(ALERT.replace("14th", f"{floor}th")) for floor in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["incident_id"] for answer in answers}) == 1
    assert await api.count("outbox") == 20


async def test_a_report_says_when_it_was_taken_in_and_no_later(api: Api) -> None:
    before = datetime.now(UTC)
    await api.report(reported_at=(before + timedelta(days=1)).isoformat())
    await api.report(reported_at="2026-01-01T00:00:00Z")
    future, past = [json.loads(message.value)["reported_at"] for message in api.outbox.published]
    assert before <= datetime.fromisoformat(future) <= datetime.now(UTC)
    assert datetime.fromisoformat(past) == datetime(2026, 1, 1, tzinfo=UTC)


INVALID = [
    ({"status": None}, "status: "),
    ({"status": "Real"}, "status: Input should be 'Actual', 'Exercise', "),
    (
        {"status": "Actual"},
        (
            "status: Actual belongs to the actual namespace and this intake serves exercise;"
            " send it to the intake of actual"
        ),
    ),
    ({"status": "Draft"}, "status: Value error, Draft, which is not meant to be acted on; Muster takes Actual, "),
    ({"message_type": "Ack"}, "message_type: Value error, Ack, which answers an alert and reports no incident; "),
    (
        {"message_type": "Cancel"},
        "value: Value error, an Update or a Cancel names what it is about: ",
    ),
    ({"reported_by": ""}, "reported_by: "),
    ({"severty": "Severe"}, "severty: Extra inputs are not permitted"),
    ({"areas": [{"description": "x", "polygn": []}]}, "value: Value error, 'polygn' is no field of Area"),
    ({"parameters": {"storeys": 10**400}}, "parameters.storeys"),
    ({"event": "nul \0 here"}, "value: holds a NUL character"),
    ({"parameters": {"nul \0 here": []}}, "parameters.nul "),
    ({"event": "x" * 501}, "event: String should have at most 500 characters"),
    ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at: Value error, the year must lie between 1900 and 2200"),
    ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "occurred_at: Value error, the year must lie between 1900 and 2200"),
    ({"occurred_at": "2026-01-01T00:00:00"}, "occurred_at: Input should have timezone info"),
    ({"occurred_at": 1e300}, "occurred_at: "),
    ({"incident_id": "7e57d004-2b97-4e7a-b45f-5387367791cd"}, "incident_id: UUID version 7 expected"),
    ({"event": "\0"}, "value: holds a NUL character"),
]


@pytest.mark.parametrize(("fields", "detail"), INVALID, ids=[f"{n}" for n in range(len(INVALID))])
async def test_a_report_that_can_not_be_taken_is_told_why_and_kept(api: Api, fields: Any, detail: str) -> None:
    told = problem(await api.report("k", **fields), 422)
    assert told["detail"].startswith(detail)
    assert told["type"] == "urn:muster:problem:invalid"
    row = await api.pool.fetchrow("SELECT * FROM dead_letters")
    assert row is not None
    assert (str(row["id"]), row["origin"], row["reason"]) == (told["dead_letter"], "http:/v1/incidents", told["detail"])
    assert json.loads(row["value"]) == FIRE | fields
    assert (await api.count("reports"), await api.count("outbox"), await api.count("alerts")) == (0, 0, 0)


MALFORMED = [
    (b"{", "body: is not JSON: EOF"),
    (b"\xff{}", "body: is not UTF-8 at byte 0"),
    (b'{"status": "\xed\xa0\x80"}', "body: is not UTF-8 at byte 12"),
    (b'{"status": "\\ud800"}', "body: is not JSON: "),
    (b'{"parameters": {"a": NaN}}', "body: is not JSON: "),
    (b'{"parameters": {"a": Infinity}}', "body: is not JSON: "),
    (b"[" * 500_000, "body: is not JSON: recursion limit exceeded"),
    (b'{"a":' * 100_000, "body: is not JSON: recursion limit exceeded"),
    (b"9" * 10_000, "body: is not JSON: number out of range"),
    (b"[]", "body: must be a JSON object, in braces"),
    (b"null", "body: must be a JSON object, in braces"),
    (b'{"status": "Test", "status": "Actual"}', "body: 'status' is given more than once; give it once"),
    (b'{"parameters": {"a": 1, "a": 2}}', "body: 'a' is given more than once; give it once"),
    (b"\0\0\0\0", "body: is not JSON: "),
]


@pytest.mark.parametrize(("body", "detail"), MALFORMED, ids=[f"{n}" for n in range(len(MALFORMED))])
async def test_a_body_that_is_no_json_is_told_why_and_kept(api: Api, body: bytes, detail: str) -> None:
    told = problem(await api.send(body), 400)
    assert told["detail"].startswith(detail)
    assert await api.pool.fetchval("SELECT value FROM dead_letters WHERE id = $1", told["dead_letter"]) == body
    assert await api.count("reports") == 0


async def test_infinity_by_a_large_exponent_is_refused(api: Api) -> None:
    body = json.dumps(FIRE).replace("30", "1e999").encode()
    assert problem(await api.send(body), 422)["detail"].startswith("parameters.storeys")


async def test_a_byte_order_mark_does_no_harm(api: Api) -> None:
    assert (await api.send(b"\xef\xbb\xbf" + json.dumps(FIRE).encode())).status_code == 202


async def test_random_bytes_never_break_the_service(api: Api) -> None:
    draw = random.Random(7)
    whole = {"/v1/incidents": json.dumps(FIRE).encode(), "/v1/cap": ALERT.encode()}
    types = {"/v1/incidents": "application/json", "/v1/cap": "text/xml"}
    for _ in range(300):
        path = draw.choice(sorted(whole))
        body = bytearray(whole[path])
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(body))
            body[at : at + draw.randrange(3)] = bytes(draw.randrange(256) for _ in range(draw.randrange(3)))
        response = await api.client.post(path, content=bytes(body), headers={"Content-Type": types[path]})
        assert response.status_code in {200, 202, 400, 422}, (bytes(body), response.text)


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (ALERT.replace("<scope>Public</scope>", ""), 422, "line 2: <alert> has no <scope>; add it, one of Public, "),
        (ALERT.replace("Exercise", "Draft"), 422, "line 6: <status> is Draft, "),
        (ALERT.replace("Exercise", "Actual"), 422, "status: Actual belongs to the actual namespace"),
        ("<!DOCTYPE alert>" + ALERT[39:], 400, "line 1: <alert> comes with a DOCTYPE"),
        ("<alert", 400, "line 1: <alert> is not well-formed XML: "),
        ("{}", 400, "line 1: <alert> is not well-formed XML: "),
        (b"\xff\xfe\xff", 400, "line 1: <alert> is not in the encoding it declares (utf-16); "),
    ],
)
async def test_a_faulty_alert_is_told_why_and_kept(api: Api, body: str | bytes, status: int, detail: str) -> None:
    told = problem(await api.cap(body), status)
    assert told["detail"].startswith(detail)
    row = await api.pool.fetchrow("SELECT * FROM dead_letters")
    assert row is not None
    assert (str(row["id"]), row["origin"]) == (told["dead_letter"], "http:/v1/cap")
    assert row["value"] == (body if isinstance(body, bytes) else body.encode())
    assert (await api.count("reports"), await api.count("outbox"), await api.count("alerts")) == (0, 0, 0)


async def test_faulty_bodies_at_the_same_moment_are_all_kept(api: Api) -> None:
    answers = await asyncio.gather(*(api.send(b"{") for _ in range(30)))
    letters = {problem(answer, 400)["dead_letter"] for answer in answers}
    assert len(letters) == await api.count("dead_letters") == 30


async def test_a_body_too_large_is_refused_while_it_is_read(api: Api) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 100_000

    for path, content_type in (("/v1/incidents", "application/json"), ("/v1/cap", "text/xml")):
        read = 0
        response = await api.client.post(path, content=endless(), headers={"Content-Type": content_type})
        problem(response, 413)
        assert read == 11
    assert await api.count("dead_letters") == 0


async def test_a_body_of_another_kind_is_refused(api: Api) -> None:
    for path, content_type in (("/v1/incidents", "text/xml"), ("/v1/cap", "application/json"), ("/v1/cap", "")):
        told = problem(await api.client.post(path, content=b"x", headers={"Content-Type": content_type}), 415)
        assert told["detail"].startswith("Content-Type: ")
    zipped = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    problem(await api.client.post("/v1/incidents", content=b"x", headers=zipped), 415)
    problem(await api.send(b""), 400)


async def test_media_types_may_carry_parameters_and_capitals(api: Api) -> None:
    assert (await api.send(json.dumps(FIRE).encode(), "Application/JSON; charset=utf-8")).status_code == 202
    assert (await api.cap(ALERT, **{"Content-Type": "text/xml; charset=utf-8"})).status_code == 202


async def test_paths_and_methods_that_are_not_there_are_problems_too(api: Api) -> None:
    assert problem(await api.client.get("/v2/%00%0d%0a"), 404)["instance"] == "/v2/%00%0D%0A"
    problem(await api.client.get("/v1/incidents/"), 404)
    wrong = await api.client.get("/v1/cap")
    problem(wrong, 405)
    assert wrong.headers["allow"] == "POST"
    assert problem(await api.client.get("/v1/incidents/7"), 422)["detail"].startswith("path.incident_id: ")
    assert problem(await api.client.get("/v1/incidents?limit=0"), 422)["detail"].startswith("query.limit: ")
    unknown = problem(await api.client.get(f"/v1/incidents/{uuid7()}"), 404)
    assert unknown["type"] == "urn:muster:problem:unknown-incident"


async def test_a_decision_is_put_on_its_way(api: Api) -> None:
    incident = (await api.report()).json()["incident_id"]
    decision = {
        "action": "activate",
        "status": "Exercise",
        "plan": "high-rise-fire",
        "level": "II",
        "by": "Lin",
        "reason": "smoke",
    }
    path = f"/v1/incidents/{incident}/commands"
    response = await api.client.post(path, json=decision, headers={"Idempotency-Key": "c-1"})
    assert (response.status_code, response.json()["incident_id"]) == (202, incident)
    message = api.outbox.published[-1]
    envelope, command = read_message(message.envelope.headers(), message.value, COMMAND)
    assert (message.topic, str(envelope.id)) == ("muster.exercise.commands", response.json()["event_id"])
    assert (str(command.incident_id), command.plan) == (incident, "high-rise-fire")
    assert command.by == "officer", "whoever the body names, it is who asks"
    again = await api.client.post(path, json=decision, headers={"Idempotency-Key": "c-1"})
    assert (again.status_code, again.json()) == (200, response.json() | {"repeated": True})
    other = (await api.report()).json()["incident_id"]
    elsewhere = f"/v1/incidents/{other}/commands"
    problem(await api.client.post(elsewhere, json=decision, headers={"Idempotency-Key": "c-1"}), 409)
    assert (await api.client.post(path, json=decision)).status_code == 202, "without a key it is another decision"


@pytest.mark.parametrize(
    ("fields", "status", "detail"),
    [
        ({"action": "dance"}, 422, "value: Input tag 'dance' found using 'action' "),
        ({"reason": ""}, 422, "activate.reason: String should have at least 1 character"),
        ({"status": "Test"}, 422, "status: the incident's is Exercise, the command says Test"),
        ({"status": "Actual"}, 422, "status: the incident's is Exercise, the command says Actual"),
        ({"decided_at": "2026-01-01T00:00:00Z"}, 422, "decided_at: is not given in the body; "),
        ({"lvl": "I"}, 422, "lvl: is no field of the command activate"),
        ({"reason": "nul \0"}, 422, "value: holds a NUL character"),
    ],
)
async def test_a_decision_that_can_not_be_taken_is_told_why(api: Api, fields: Any, status: int, detail: str) -> None:
    incident = (await api.report()).json()["incident_id"]
    decision = {"action": "activate", "status": "Exercise", "plan": "fire", "by": "Lin", "reason": "smoke"} | fields
    told = problem(await api.client.post(f"/v1/incidents/{incident}/commands", json=decision), status)
    assert told["detail"].startswith(detail)
    assert (await api.count("outbox"), await api.count("dead_letters")) == (1, 0)


async def test_only_a_duty_officer_reports_and_decides_and_a_sensor_reports(api: Api) -> None:
    incident = (await api.report()).json()["incident_id"]
    decision = {"action": "close", "status": "Exercise", "reason": "over"}
    path = f"/v1/incidents/{incident}/commands"
    for name, reports, decides in (("planner", 403, 403), ("police", 403, 403), ("sensor", 202, 403)):
        client = api.of(name)
        assert (await client.post("/v1/incidents", json=FIRE)).status_code == reports
        assert (await client.post("/v1/cap", content=b"<alert")).status_code == {403: 403, 202: 415}[reports]
        problem(await client.post(path, json=decision), decides)
    for answer in (await api.nobody.post("/v1/incidents", json=FIRE), await api.nobody.post(path, json=decision)):
        assert problem(answer, 401)["type"] == "urn:muster:problem:not-signed-in"
    assert (await api.count("reports")) == 2
    assert (await api.client.post(path, json=decision)).status_code == 202
    taken = [(by, action, outcome) for by, action, _, outcome in api.access.noted if outcome == "done"]
    assert taken == [
        ("officer", "incident.report", "done"),
        ("sensor", "incident.report", "done"),
        ("officer", "incident.command", "done"),
    ]
    assert sum(action == "refused" for _, action, _, _ in api.access.noted) == 9


async def test_staff_see_every_incident_and_a_department_those_it_has_an_order_in(api: Api) -> None:
    incident = UUID((await api.report()).json()["incident_id"])
    await decide(api.pool, incident)
    for name, listed, shown in (
        ("officer", 200, 200),
        ("planner", 200, 200),
        ("police", 403, 200),
        ("health", 403, 404),
        ("sensor", 403, 403),
    ):
        client = api.of(name)
        assert (await client.get("/v1/incidents")).status_code == listed, name
        assert (await client.get(f"/v1/incidents/{incident}")).status_code == shown, name
    assert (await api.nobody.get("/v1/incidents")).status_code == 401
    assert (await api.nobody.get("/health/ready")).status_code == 200
    assert (await api.nobody.get("/metrics")).status_code == 200


async def test_a_decision_about_an_incident_that_is_not_there_is_refused(api: Api) -> None:
    decision = {"action": "close", "status": "Exercise", "by": "Lin", "reason": "over"}
    problem(await api.client.post(f"/v1/incidents/{uuid7()}/commands", json=decision), 404)
    assert await api.count("outbox") == 0


async def test_an_incident_can_be_read_before_and_after_it_is_decided(api: Api) -> None:
    incident = UUID((await api.report()).json()["incident_id"])
    waiting = (await api.client.get(f"/v1/incidents/{incident}")).json()
    assert (waiting["id"], waiting["phase"], waiting["status"]) == (str(incident), "accepted", "Exercise")
    assert (waiting["report"]["event"], waiting["activations"]) == ("High-rise fire", [])
    await decide(api.pool, incident)
    found = (await api.client.get(f"/v1/incidents/{incident}")).json()
    assert (found["phase"], found["report"]["event"]) == ("open", "High-rise fire")
    assert [(a["plan"], a["level"]) for a in found["activations"]] == [("high-rise-fire", "II")]
    assert [(a["task"], a["department"], a["state"]) for a in found["assignments"]] == [("cordon", "police", "issued")]
    assert found["assignments"][0]["acknowledge_by"] == "2026-06-01T08:05:00Z"
    assert [(e["entry"], e["detail"]) for e in found["timeline"]] == [
        ("incident_reported", {"event": "High-rise fire"})
    ]
    [line] = (await api.client.get("/v1/incidents")).json()["items"]
    assert (line["id"], line["event"], line["phase"]) == (str(incident), "High-rise fire", "open")
    assert line["plans"] == ["high-rise-fire"]
    assert [(a["plan"], a["state"], a["level"]) for a in line["activations"]] == [("high-rise-fire", "activated", "II")]
    assert line["activations"][0]["title"]["zh"]


async def test_incidents_are_listed_page_by_page_by_state_and_by_what_they_tell(api: Api) -> None:
    ids: list[str] = []
    for number in range(3):
        told = (await api.report(event=f"High-rise fire {number}")).json()
        ids.insert(0, told["incident_id"])
        await decide(api.pool, UUID(told["incident_id"]))
    await api.pool.execute("UPDATE incidents SET phase = 'closed' WHERE id = $1", ids[0])

    async def listed(**query: Any) -> list[str]:
        page = (await api.client.get("/v1/incidents", params=query)).json()
        return [line["id"] for line in page["items"]]

    assert sorted(await listed()) == sorted(ids)
    assert await listed(state="closed") == ids[:1]
    assert sorted(await listed(state="open")) == sorted(ids[1:])
    assert await listed(q="FIRE 1") == [ids[1]]
    assert await listed(q="100%") == []
    found: list[str] = []
    cursor: dict[str, str] = {}
    for _ in ids:
        page = (await api.client.get("/v1/incidents", params={"limit": 1, **cursor})).json()
        found += [line["id"] for line in page["items"]]
        cursor = {"cursor": page["next"]}
    assert (found, page["next"]) == (await listed(), None)
    for wrong in ({"cursor": "x"}, {"cursor": write_cursor("2026-06-01", str(ids[0]))}, {"q": "\0"}, {"state": "odd"}):
        problem(await api.client.get("/v1/incidents", params=wrong), 422)
    problem(await api.client.get("/v1/incidents", params={"cursor": write_cursor("now", "x")}), 422)


async def test_the_other_namespaces_incidents_are_not_shown(api: Api) -> None:
    incident = UUID((await api.report()).json()["incident_id"])
    await decide(api.pool, incident)
    actual = http.make_app(Intake(api.pool, api.outbox, SystemClock(), Namespace.ACTUAL), api.pool, dict, api.access)
    officer = api.access.bearer("officer")
    transport = httpx.ASGITransport(actual)
    async with httpx.AsyncClient(transport=transport, base_url="http://muster", headers=officer) as client:
        assert (await client.get("/v1/incidents")).json() == {"items": [], "next": None}
        problem(await client.get(f"/v1/incidents/{incident}"), 404)


async def test_the_database_being_away_is_a_503_and_nothing_is_lost_or_claimed(api: Api) -> None:
    await api.pool.close()
    for response in (
        await api.report(),
        await api.cap(ALERT),
        await api.send(b"{"),
        await api.client.get("/v1/incidents"),
        await api.client.get(f"/v1/incidents/{uuid7()}"),
    ):
        assert problem(response, 503)["type"] == "urn:muster:problem:unavailable"
        assert int(response.headers["retry-after"]) >= 1
    ready = await api.client.get("/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"ok": False, "checks": {"broker": True, "database": False}})
    assert (await api.client.get("/health/live")).status_code == 200


async def test_a_database_that_breaks_off_in_the_middle_leaves_nothing_half_done(api: Api) -> None:
    await api.pool.execute("ALTER TABLE outbox ADD CONSTRAINT full_disk CHECK (false)")
    with pytest.raises(asyncpg.CheckViolationError):
        await api.cap(ALERT)
    assert (await api.count("reports"), await api.count("alerts"), await api.count("outbox")) == (0, 0, 0)


async def test_readiness_names_what_is_missing(api: Api) -> None:
    assert (await api.client.get("/health/ready")).json() == {"ok": True, "checks": {"broker": True, "database": True}}
    api.ready["broker"] = False
    assert (await api.client.get("/health/ready")).status_code == 503


async def test_metrics_count_what_came_in(api: Api) -> None:
    await api.report()
    metrics = await api.client.get("/metrics")
    wanted = 'muster_intake_requests_total{namespace="exercise",origin="http:/v1/incidents",outcome="accepted"}'
    assert wanted in metrics.text
    assert metrics.headers["content-type"].startswith("text/plain")


async def test_the_description_names_every_answer_and_every_schema(api: Api) -> None:
    document = (await api.client.get("/openapi.json")).json()
    posts = ("/v1/incidents", "/v1/cap", "/v1/incidents/{incident_id}/commands")
    for path in posts:
        post = document["paths"][path]["post"]
        assert set(post["responses"]) >= {"200", "202", "400", "409", "413", "415", "422", "503"}
        assert "application/problem+json" in post["responses"]["422"]["content"]
        assert post["requestBody"]["required"]
        assert "Idempotency-Key" in {parameter["name"] for parameter in post["parameters"]}
    assert "404" in document["paths"][posts[2]]["post"]["responses"]
    schemas = document["components"]["schemas"]
    references = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= schemas.keys()
    assert sorted(schemas["ReportIn"]["required"]) == ["message_type", "reported_by", "status"]
    assert sorted(schemas["Activate"]["required"]) == ["action", "plan", "reason", "status"]
    assert "by" in schemas["Activate"]["properties"], "it may be named, and makes no difference"


def test_a_report_in_has_the_fields_of_a_report() -> None:
    assert ReportIn.model_fields.keys() == IncidentReport.model_fields.keys()


async def decide(pool: Pool, incident: UUID) -> None:
    """Put on record what dispatch would have decided."""
    at = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
    report = await pool.fetchval("SELECT value FROM outbox WHERE incident_id = $1", incident)
    activation = uuid7()
    document = json.dumps({"title": {"en": "High-rise fire plan", "zh": "高层火灾预案"}})
    await pool.execute("INSERT INTO plans VALUES ('d1', 'high-rise-fire', 1, $1) ON CONFLICT DO NOTHING", document)
    await pool.execute(
        "INSERT INTO incidents VALUES ($1, 'Exercise', 'open', $2::text::jsonb, $3, false, NULL, NULL, $3)",
        incident,
        report,
        at,
    )
    await pool.execute(
        "INSERT INTO activations (id, incident_id, status, plan, version, digest, state, matched_at, level, overridden,"
        " unfilled) VALUES ($1, $2, 'Exercise', 'high-rise-fire', 1, 'd1', 'activated', $3, 'II', false, '{}')",
        activation,
        incident,
        at,
    )
    await pool.execute(
        "INSERT INTO assignments (id, activation_id, incident_id, status, task, role, department, issued_at, state,"
        " revision, silent, missed, rung, acknowledge_by)"
        " VALUES ($1, $2, $3, 'Exercise', 'cordon', 'cordon', 'police', $4, 'issued', 1, false, '{}', 0, $5)",
        uuid7(),
        activation,
        incident,
        at,
        at + timedelta(minutes=5),
    )
    await pool.execute(
        "INSERT INTO timeline (entry_id, incident_id, status, entry, attention, detail, occurred_at, recorded_at)"
        " VALUES ($1, $2, 'Exercise', 'incident_reported', false, $3::text::jsonb, $4, $4)",
        uuid7(),
        incident,
        '{"event": "High-rise fire"}',
        at,
    )
