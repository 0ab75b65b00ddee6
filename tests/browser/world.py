"""Something to look at: incidents in every state, orders answered and unanswered, a drill that was played."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from uuid_utils.compat import uuid7

from services.platform.access.opening import DEMO_PASSWORD

WITHIN = 30.0
DRILL_WITHIN = 240.0
INCIDENTS: tuple[Mapping[str, Any], ...] = (
    {
        "categories": ["CBRNE"], "event": "Chemical release", "severity": "Severe", "urgency": "Immediate",
        "certainty": "Observed", "headline": "Chlorine leak at the water works",
        "description": "A valve of the dosing hall leaks; the wind carries it towards the school.",
        "areas": [{"description": "Riverside"}], "parameters": {"wind_speed": 4.0},
    },
    {
        "categories": ["Transport", "Rescue"], "event": "Traffic accident", "severity": "Severe",
        "urgency": "Immediate", "certainty": "Observed", "headline": "A coach overturned on the ring road",
        "description": "41 passengers; a fuel truck stands behind it.",
        "areas": [{"description": "Ring road, kilometre 12"}], "parameters": {"casualties": 23.0},
    },
    {
        "categories": ["Health"], "event": "Outbreak", "severity": "Moderate", "urgency": "Expected",
        "certainty": "Likely", "headline": "Forty pupils ill after lunch at Hill School",
        "areas": [{"description": "Hill district"}], "parameters": {"cases": 40.0},
    },
    {
        "categories": ["Met"], "event": "Flood", "severity": "Severe", "urgency": "Expected", "certainty": "Likely",
        "headline": "Water rises in the old town", "areas": [{"description": "Old town"}],
    },
)  # fmt: skip


@dataclass
class World:
    """What was made: ids by name, as the tour's paths ask for them."""

    base: str
    token: str
    ids: dict[str, str] = field(default_factory=dict)

    async def report(self, told: Mapping[str, Any], *, exercise: bool = False) -> str:
        """Report an incident as a program does; give its id."""
        body = {
            "status": "Exercise" if exercise else "Actual",
            "message_type": "Alert",
            "reported_by": "112 desk",
            "occurred_at": (datetime.now(UTC) - timedelta(minutes=4)).isoformat(),
            **told,
        }
        answer = await self.call("POST", "/v1/incidents", body, exercise=exercise)
        return str(answer["incident_id"])

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        exercise: bool = False,
        unless: int | None = None,
    ) -> Any:
        """Call the API as the operator of this machine; None for an answer with the status ``unless``."""
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": str(uuid7())}
        root = f"{self.base}/exercise" if exercise else self.base
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.request(method, f"{root}{path}", json=body, headers=headers)
        if answer.status_code == unless:
            return None
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def assignments(self, incident: str, at_least: int = 1) -> list[dict[str, Any]]:
        """Wait until an incident has its orders and give them."""
        async with asyncio.timeout(WITHIN):
            while True:
                found: list[dict[str, Any]] = (await self.call("GET", f"/v1/incidents/{incident}"))["assignments"]
                if len(found) >= at_least:
                    return found
                await asyncio.sleep(0.2)

    async def answer(self, assignment: Mapping[str, Any], *answers: Mapping[str, Any]) -> None:
        """Answer an order as a member of its department would, one word after another."""
        async with httpx.AsyncClient(base_url=self.base, timeout=30) as client:
            who = {"login": assignment["department"], "password": DEMO_PASSWORD}
            signed_in = await client.post("/v1/session", json=who)
            assert signed_in.is_success, signed_in.text
            headers = {"X-CSRF-Token": signed_in.json()["csrf"]}
            for said in answers:
                path = f"/v1/assignments/{assignment['id']}/answers"
                told = await client.post(path, json=said, headers=headers | {"Idempotency-Key": str(uuid7())})
                assert told.is_success, told.text


async def furnish(world: World, *, drill: bool = True) -> World:
    """Make the incidents, let some departments answer, and play a drill."""
    chemical, coach, outbreak, flood = [await world.report(told) for told in INCIDENTS]
    orders = await world.assignments(chemical, at_least=4)
    done, started, blocked, declined, *rest = orders
    read_back = {"read_back": "Understood: as ordered"}
    await world.answer(done, {"answer": "commit", **read_back}, {"answer": "start"}, {"answer": "complete"})
    await world.answer(started, {"answer": "commit", **read_back}, {"answer": "start"})
    await world.answer(blocked, {"answer": "commit", **read_back}, {"answer": "block", "reason": "The bridge is shut"})
    await world.answer(declined, {"answer": "decline", "reason": "All crews are at the ring road"})
    for order in rest[:2]:
        await world.answer(order, {"answer": "deliver"})
    fire = next((order for order in orders if order["department"] == "fire-rescue"), done)
    world.ids |= {"incident": chemical, "coach": coach, "outbreak": outbreak, "flood": flood, "order": fire["id"]}
    world.ids["exercise"] = await world.report(INCIDENTS[0], exercise=True)
    if drill:
        world.ids["drill"] = await play(world, "chemical-release", seed=7)
    return world


async def play(world: World, scenario: str, *, seed: int) -> str:
    """Play a drill to its end; give its id."""
    wanted = {"scenario": scenario, "seed": seed, "speed": 60}
    async with asyncio.timeout(DRILL_WITHIN):
        # One drill at a time: the one before may have had its ENDEX and still be writing its report.
        started = None
        while started is None:
            started = await world.call("POST", "/v1/drills", wanted, exercise=True, unless=409)
            await asyncio.sleep(1)
        while True:
            found = await world.call("GET", f"/v1/drills/{started['id']}", exercise=True)
            if found.get("ended_at"):
                return str(started["id"])
            await asyncio.sleep(1)
