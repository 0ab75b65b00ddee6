"""Plans over HTTP: the catalogue, each plan with its versions and findings, checking a text, trying an incident."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, Request

from schemas.vocabulary import Role
from services.console.plans import add_plans_api
from services.console.plans_check import MAX_BYTES
from services.console.plans_view import reckon
from services.domain.plan import Plan
from services.platform.access.principal import Principal
from services.platform.postgres import Pool
from services.platform.problem import ProblemError
from services.platform.problem_answers import add_problems
from services.platform.published import publish
from services.playbooks.plans import canonical, compile_plan, digest, parse_plan
from tests.playbooks.sample import DIRECTORY, PLAN, TODAY, directory, line_of, rewritten
from tests.services.support import publish_shipped

YAML = {"Content-Type": "application/yaml"}


class Known:
    """Stands where the access stands: everybody is the same person, or nobody."""

    def __init__(self, *roles: Role) -> None:
        self.caller: Principal | None = Principal(uuid4(), "Planner Li", frozenset(roles))

    async def identify(self, request: Request) -> Principal | None:
        del request
        return self.caller

    async def note(self, caller: Principal | None, action: str, target: str | None = None, **more: Any) -> None:
        del caller, action, target, more

    async def refused(self, request: Request, caller: Principal | None, problem: ProblemError) -> None:
        del request, caller, problem


class Api:
    """The routes, who calls them, and a client."""

    def __init__(self, pool: Pool) -> None:
        self.app = FastAPI()
        self.access = Known(Role.PLANNER)
        self.app.state.access = self.access
        add_problems(self.app)
        add_plans_api(self.app, pool, pool, today=lambda: TODAY)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://muster")

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def check(self, text: str | bytes, status: int = 200, **headers: str) -> Any:
        answer = await self.client.post("/v1/plans/check", content=text, headers=YAML | headers)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    made = Api(pool)
    yield made
    await made.client.aclose()


async def put_into_force(pool: Pool, *texts: str) -> None:
    documents = [parse_plan(text, "plan.yaml")[0] for text in texts]
    words = directory()
    plans = [(digest(each), each.id, each.version, canonical(each)) for each in documents]
    await publish(pool, plans, (digest(words), canonical(words)))


def second() -> str:
    """The next version: a deadline is tighter, a deputy is gone, the review is over."""
    text = rewritten("version: 1", "version: 2")
    for before, after in (
        ("deadlines: {acknowledge: 5m, start: 10m", "deadlines: {acknowledge: 3m, start: 10m"),
        ("    deputies: [traffic]\n", ""),
        ("review_by: 2027-03-31", "review_by: 2026-01-31"),
    ):
        assert before in text
        text = text.replace(before, after)
    return text


async def test_the_catalogue_tells_what_is_in_force_with_its_review_and_its_size(api: Api, pool: Pool) -> None:
    await put_into_force(pool, second())
    listed = await api.get("/v1/plans")
    [line] = listed["items"]
    assert listed["next"] is None
    assert (line["id"], line["version"], line["title"]["zh"], line["kind"]) == ("river-flood", 2, "河流洪水", "special")
    assert (line["review_by"], line["review_overdue"], line["last_drill"]) == ("2026-01-31", True, None)
    assert (line["tasks"], line["reports"], line["stand_down"], line["departments"]) == (2, 1, 1, 4)
    assert line["owner_title"]["en"] == "Department of water"
    assert (line["categories"], line["mode"]) == (["Met", "Geo"], "confirm")


async def test_the_catalogue_is_read_page_by_page_and_by_category(api: Api, pool: Pool) -> None:
    await publish_shipped(pool)
    whole = [line["id"] for line in (await api.get("/v1/plans"))["items"]]
    assert whole == sorted(whole)
    assert len(whole) >= 10
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await api.get("/v1/plans", limit=4, **cursor)
        seen += [line["id"] for line in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == whole
    fires = await api.get("/v1/plans", category="Fire", kind="special")
    assert {"high-rise-fire"} <= {line["id"] for line in fires["items"]} < set(whole)
    await api.get("/v1/plans", 422, cursor="nonsense")


async def test_a_plan_is_shown_as_written_with_what_follows_from_it(api: Api, pool: Pool) -> None:
    await put_into_force(pool, PLAN)
    answer = await api.client.get("/v1/plans/river-flood")
    plan = answer.json()
    assert plan["document"] == json.loads(canonical(parse_plan(PLAN, "plan.yaml")[0]))
    tasks = {task["id"]: task for task in plan["tasks"]}
    assert [task["kind"] for task in tasks.values()] == ["task", "task", "report", "stand_down"]
    road = tasks["close-road"]
    assert (road["candidates"], road["needed"], road["after"], road["when"]) == (
        ["police", "traffic"],
        1,
        ["watch"],
        "hour >= 0",
    )
    assert (road["begins"], road["ends"]) == (300, 300 + 5_400), "after the watch, which may take five minutes"
    assert [rung["step"] for rung in road["ladder"]] == ["remind", "duty_officer"], "the plan's own ladder"
    assert (tasks["county-report"]["begins"], tasks["county-report"]["ends"]) == (0, 3_600)
    assert tasks["watch"]["levels"] == ["standby", "I", "II"]
    assert (tasks["watch"]["needed"], tasks["watch"]["wait"]) == (2, "1m30s")
    assert set(plan["departments"]) == {"police", "traffic", "fire", "water"}
    again = await api.client.get("/v1/plans/river-flood", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_every_version_is_kept_with_the_times_it_was_in_force(api: Api, pool: Pool) -> None:
    await put_into_force(pool, PLAN)
    await put_into_force(pool, second())
    await put_into_force(pool, PLAN)
    items = (await api.get("/v1/plans/river-flood/versions"))["items"]
    assert [(each["version"], each["in_force"], len(each["periods"])) for each in items] == [
        (2, False, 1),
        (1, True, 2),
    ]
    first, last = items[1]["periods"]
    assert first["until"] == items[0]["periods"][0]["since"]
    assert last["since"] == items[0]["periods"][0]["until"]
    assert last["until"] is None
    old = await api.get("/v1/plans/river-flood", version=2)
    assert (old["version"], old["in_force"]) == (2, False)


async def test_a_withdrawn_plan_still_tells_its_history(api: Api, pool: Pool) -> None:
    await put_into_force(pool, PLAN)
    other = rewritten("id: river-flood", "id: dike-breach")
    await put_into_force(pool, other)
    [line] = (await api.get("/v1/plans/river-flood/versions"))["items"]
    assert (line["in_force"], line["periods"][0]["until"] is None) == (False, False)
    [newer] = (await api.get("/v1/plans/dike-breach/versions"))["items"]
    assert [period["until"] for period in newer["periods"]] == [None], "what came before it was there isn't told"
    await api.get("/v1/plans/river-flood", 404)
    await api.get("/v1/plans/river-flood/findings", 404)


async def test_what_changed_is_told_in_words_with_whom_it_concerns(api: Api, pool: Pool) -> None:
    await put_into_force(pool, PLAN)
    await put_into_force(pool, second())
    found = await api.get("/v1/plans/river-flood/diff", **{"from": 1, "to": 2})
    told = {item["path"]: (item["before"], item["after"], item["concerns"]) for item in found["items"]}
    assert told["tasks[close-road].deadlines.acknowledge"] == ("5m", "3m", "a deadline changes")
    assert told["roles[cordon].deputies"] == ("traffic", "nothing", "other departments are concerned")
    assert told["version"] == ("1", "2", "")
    back = await api.get("/v1/plans/river-flood/diff", **{"from": 2, "to": 1})
    assert [(item["after"], item["before"]) for item in back["items"]] == [
        (item["before"], item["after"]) for item in found["items"]
    ]
    problem = await api.get("/v1/plans/river-flood/diff", 404, **{"from": 1, "to": 9})
    assert problem["detail"].startswith("version 9 of plan river-flood: there is none")


async def test_an_overdue_review_is_a_finding(api: Api, pool: Pool) -> None:
    await put_into_force(pool, second())
    found = await api.get("/v1/plans/river-flood/findings")
    assert (found["errors"], found["warnings"]) == (0, len(found["items"]))
    assert {"severity": "warning", "line": None, "path": "review_by", "message": "the review was due on 2026-01-31",
            "mend": "review the plan"} in found["items"]  # fmt: skip


async def test_a_text_is_checked_with_the_line_of_each_finding(api: Api, pool: Pool) -> None:
    await put_into_force(pool, PLAN)
    found = await api.check(rewritten("after: [watch]", "after: [wach]"))
    errors = {item["path"]: item for item in found["items"] if item["severity"] == "error"}
    unknown = errors["tasks[1].after[0]"]
    assert unknown["line"] == line_of("after: [watch]")
    assert 'did you mean "watch"?' in unknown["mend"]
    raised = errors["version"]
    assert (raised["line"], raised["mend"]) == (line_of("version: 1"), "raise the version")
    assert (found["plan"], found["version"], found["in_force"]) == ("river-flood", 1, 1)
    assert [item["path"] for item in found["changes"]] == ["tasks[close-road].after"]


async def test_what_is_no_plan_is_told_line_by_line(api: Api, pool: Pool) -> None:
    await put_into_force(pool, PLAN)
    found = await api.check(rewritten("kind: special", "kind: specail"))
    assert (found["plan"], found["errors"]) == (None, 1)
    assert found["items"][0]["line"] == line_of("kind: special")
    clean = await api.check(second())
    assert (clean["errors"], clean["version"], clean["in_force"]) == (0, 2, 1)


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("id: a\n\tversion: 1\n", 400, "line 2: a tab is used to indent"),
        ("id: a\nid: b\n", 400, "line 2: id: is written twice"),
        ("a: &x 1\nb: *x\n", 400, "line 1: a: anchor &x is not used here"),
        ("- a\n", 400, "line 1: the file is a list, not a map"),
        (b"id: \xff\n", 400, "line 1: is not UTF-8"),
        ("[" * 100_000, 400, "nested more than 40 deep"),
        ("#" * (MAX_BYTES + 1), 413, f"more than {MAX_BYTES} bytes"),
        ("#" * 1_000_001, 413, "more than 1000000 bytes"),
        ("", 400, "the body is empty"),
    ],
)
async def test_a_text_that_is_no_yaml_is_refused_in_one_line(
    api: Api, pool: Pool, text: str | bytes, status: int, said: str
) -> None:
    await put_into_force(pool, PLAN)
    detail = (await api.check(text, status))["detail"]
    assert said in detail
    assert "\n" not in detail
    assert (await api.client.post("/v1/plans/check", json={})).status_code == 415


async def test_a_department_sees_no_plans_and_a_stranger_is_asked_to_sign_in(api: Api, pool: Pool) -> None:
    await put_into_force(pool, PLAN)
    api.access.caller = Principal(uuid4(), "Fire desk", frozenset({Role.DEPARTMENT}), frozenset({"fire"}))
    await api.get("/v1/plans", 403)
    await api.check(PLAN, 403)
    api.access.caller = None
    await api.get("/v1/plans/river-flood", 401)


async def test_before_a_publication_there_is_nothing_and_it_says_what_to_do(api: Api) -> None:
    problem = await api.get("/v1/plans", 404)
    assert "muster plan publish" in problem["detail"]


def test_a_chain_of_deadlines_is_reckoned_to_its_end() -> None:
    plan: Plan = compile_plan(parse_plan(PLAN, "plan.yaml")[0])
    assert reckon(plan) == {
        "watch": (0, 300),
        "close-road": (300, 5_700),
        "county-report": (0, 3_600),
        "reopen": (0, 600),
    }
    assert DIRECTORY.count("- id:") == 4
