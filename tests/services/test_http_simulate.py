"""Simulating a plan over HTTP: one at a time, followed while it runs, and the same question has the same answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, Request

from schemas.vocabulary import Role
from services.drills import simulations
from services.drills.http_simulate import add_simulate
from services.drills.simulate_worker import Job, simulated
from services.platform.access.principal import Principal
from services.platform.postgres import Pool
from services.platform.problem import ProblemError
from services.platform.problem_answers import add_problems
from services.platform.published import publish
from services.playbooks.plans import canonical, digest
from tests.playbooks.sample import directory, plan

FLOOD = {"categories": ["Met"], "event": "Flood", "severity": "Severe", "areas": [{"description": "North Bank"}]}
ROAD = "/v1/plans/river-flood/simulat"


class Known:
    """Stands where the access stands: everybody is the same person."""

    def __init__(self, *roles: Role) -> None:
        self.caller = Principal(uuid4(), "Planner Li", frozenset(roles))

    async def identify(self, request: Request) -> Principal | None:
        del request
        return self.caller

    async def note(self, caller: Principal | None, action: str, target: str | None = None, **more: Any) -> None:
        del caller, action, target, more

    async def refused(self, request: Request, caller: Principal | None, problem: ProblemError) -> None:
        del request, caller, problem


class Api:
    """The routes over a published plan, and a client."""

    def __init__(self, pool: Pool) -> None:
        self.app = FastAPI()
        self.app.state.access = self.access = Known(Role.PLANNER)
        add_problems(self.app)
        self.simulations = add_simulate(self.app, pool)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://muster")

    async def ask(self, status: int = 202, plan: str = "river-flood", **said: Any) -> Any:
        body = {"report": FLOOD, "runs": 60} | said
        answer = await self.client.post(f"/v1/plans/{plan}/simulate", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def ended(self, asked: dict[str, Any]) -> Any:
        found = self.simulations.find(asked["id"])
        assert found is not None
        await asyncio.wait_for(found.ended.wait(), 60)
        return (await self.client.get(f"{ROAD}ions/{asked['id']}")).json()


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    wording, words = plan(), directory()
    await publish(pool, [(digest(wording), wording.id, wording.version, canonical(wording))],
                  (digest(words), canonical(words)))  # fmt: skip
    made = Api(pool)
    yield made
    await made.simulations.drain()
    await made.client.aclose()


def job(api: Api, asked: dict[str, Any]) -> Job:
    found = api.simulations.find(asked["id"])
    assert found is not None
    return found.job


async def test_a_simulation_is_followed_to_its_result_which_is_the_command_lines(api: Api) -> None:
    asked = await api.ask()
    assert (asked["state"], asked["result"], asked["asked_by"]) == ("running", None, "Planner Li")
    told = await api.ended(asked)
    assert (told["state"], told["done"], told["version"], told["reason"]) == ("done", 60, 1, None)
    result = told["result"]
    assert (result["plan"], result["level"], result["runs"], result["seed"]) == ("river-flood", "II", 60, 7)
    assert result["activation"].startswith("activated by the duty officer after 2m")
    completion = result["times"]["completion"]
    curve = result["curves"]["completion"]
    assert (len(curve), curve[49], curve[89]) == (100, completion["p50"], completion["p90"])
    assert curve == sorted(curve)
    assert {each["department"] for each in result["candidates"]} == {"fire", "water", "traffic"}


async def test_the_same_question_is_asked_once_and_gives_the_same_bytes(api: Api) -> None:
    asked = await api.ask(runs=30)
    told = await api.ended(asked)
    again = await api.ask(200, runs=30)
    assert (again["id"], again["result"]) == (asked["id"], told["result"])
    afresh = await asyncio.to_thread(simulated, job(api, asked))
    assert json.dumps(afresh) == json.dumps(told["result"]), "also in another process"
    other = await api.ask(runs=30, seed=8)
    assert other["id"] != asked["id"]
    assert (await api.ended(other))["result"] != told["result"]


async def test_one_simulation_runs_at_a_time_and_can_be_stopped(api: Api) -> None:
    asked = await api.ask(runs=1_000)
    same = await api.ask(runs=1_000)
    assert same["id"] == asked["id"]
    busy = await api.client.post(f"{ROAD}e", json={"report": FLOOD, "runs": 10})
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "5")
    stopped = (await api.client.delete(f"{ROAD}ions/{asked['id']}")).json()
    assert (stopped["state"], stopped["result"]) == ("stopped", None)
    again = await api.ask(runs=1_000)
    assert (again["id"], again["state"]) == (asked["id"], "running"), "what was stopped may be asked again"


async def test_a_simulation_that_takes_too_long_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulations, "LONGEST", 0.05)
    told = await api.ended(await api.ask())
    assert (told["state"], told["result"]) == ("failed", None)
    assert "took longer" in told["reason"]


async def test_only_the_latest_simulations_are_remembered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulations, "KEPT", 1)
    first = await api.ask(runs=1)
    await api.ended(first)
    await api.ended(await api.ask(runs=2))
    gone = await api.client.get(f"{ROAD}ions/{first['id']}")
    assert (gone.status_code, "ask for it again" in gone.json()["detail"]) == (404, True)


@pytest.mark.parametrize(
    ("said", "status", "detail"),
    [
        ({"runs": 1_001}, 422, "less than or equal to 1000"),
        ({"runs": 0}, 422, "greater than or equal to 1"),
        ({"report": {"severity": "Bad"}}, 422, "report: severity"),
        ({"report": FLOOD | {"weather": "wet"}}, 422, "weather"),
        ({"confirm_after": "soon"}, 422, "write a duration"),
        ({"plan": "no-such-plan"}, 404, "there is none"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_one_line(
    api: Api, said: dict[str, Any], status: int, detail: str
) -> None:
    told = (await api.ask(status, **said))["detail"]
    assert detail in told
    assert "\n" not in told


async def test_an_auditor_reads_and_does_not_simulate(api: Api) -> None:
    asked = await api.ask(runs=1)
    await api.ended(asked)
    api.access.caller = Principal(uuid4(), "Auditor Wang", frozenset({Role.AUDITOR}))
    await api.ask(403)
    assert (await api.client.get(f"{ROAD}ions/{asked['id']}")).status_code == 200
    assert (await api.client.delete(f"{ROAD}ions/{asked['id']}")).status_code == 403
