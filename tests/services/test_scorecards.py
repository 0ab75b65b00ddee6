"""Scorecards: numbers of departments and roles, reckoned by hand for a small case, and never of both worlds."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace, Role
from services.console.performance import Done, card_of
from services.console.scorecards import add_scorecards_api
from services.domain.segments import NEVER
from services.platform.postgres import Pool, connect
from services.platform.rights import role_name
from tests.services.console_world import NOBODY, Door, api, client_for, person
from tests.services.drill_history import write_drill
from tests.services.support import publish_shipped

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
BEGUN = NOW - timedelta(hours=5)
PLANNER = person("planner", Role.PLANNER)
MEDIC = person("medic", Role.DEPARTMENT, departments=["ems"])


async def order(pool: Pool, department: str = "ems", **given: Any) -> None:
    """Put one order on record; times are given as minutes after it was issued."""
    issued_at = given.pop("issued_at", BEGUN)
    times = {name: issued_at + value * MINUTE for name, value in given.items() if name.endswith(("_at", "_by"))}
    row: dict[str, Any] = {
        "id": uuid7(),
        "activation_id": uuid7(),
        "incident_id": given.pop("incident_id", None) or uuid7(),
        "status": given.pop("status", "Actual"),
        "task": "triage",
        "role": given.pop("role", "medical"),
        "department": department,
        "issued_at": issued_at,
        "state": "issued",
        "revision": 1,
        "silent": False,
        "acknowledge_by": issued_at + 5 * MINUTE,
        "missed": [],
        "rung": 0,
        **times,
    }
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    await pool.execute(
        f"INSERT INTO assignments ({', '.join(row)}) VALUES ({places})",  # noqa: S608 - the test's own words
        *row.values(),
    )


async def ask(
    database: str, path: str, who: str = "planner", namespace: Namespace = Namespace.ACTUAL
) -> httpx.Response:
    """Ask one world's site."""
    held = await connect(database, size=2, role=role_name(namespace))
    try:
        app = api(Door(PLANNER, MEDIC))
        add_scorecards_api(app, held, namespace)
        async with client_for(app, who) as client:
            return await client.get(path)
    finally:
        await held.close()


async def write_small_case(pool: Pool) -> None:
    """Ten orders of one department: turnouts of 1 to 7 minutes, one no, one silence, one called off in time."""
    for minutes in range(1, 8):
        await order(pool, delivered_at=0.5, committed_at=minutes + 0.5, complete_by=60, completed_at=30 + 10 * minutes)
    await order(pool, delivered_at=0.5, declined_at=1)
    await order(pool)  # was never even received
    await order(pool, delivered_at=1, ended_at=2)


async def test_the_numbers_are_those_reckoned_by_hand(pool: Pool, database: str) -> None:
    await publish_shipped(pool)
    await write_small_case(pool)
    answer = await ask(database, "/v1/scorecards/ems")
    assert answer.status_code == 200
    card = answer.json()
    counts = ("orders", "answered", "declined", "unanswered", "cut_short", "completed", "simulated")
    assert [card[name] for name in counts] == [10, 8, 1, 1, 1, 7, 0]
    # Eight turnouts: 1 to 7 minutes, and one that never came: the nearest-rank median is the fourth.
    turnout = card["turnout"]
    assert (turnout["n"], turnout["never"], turnout["p50"], turnout["longest"]) == (8, 1, 240, 420)
    assert (turnout["p90"], turnout["p95"]) == (None, None), "eight are too few"
    # In time: commitments after 1.5 to 4.5 minutes, and the no; not those after 5.5 and more, and not the silence.
    assert turnout["within"] == {"kept": 5, "n": 9, "share": 5 / 9}
    assert card["received"]["never"] == 1
    assert (card["received"]["n"], card["received"]["p50"]) == (10, 30)
    # Done after 40 to 100 minutes, of which three within the hour; the no, and those without a deadline, aren't due.
    assert card["completion"]["p50"] == 70 * 60
    assert card["completion"]["within"] == {"kept": 3, "n": 7, "share": 3 / 7}
    assert [each["id"] for each in card["roles"]] == ["medical"]
    assert card["title"]["zh"] != "ems"
    never = [dot for dot in card["dots"] if dot["took"] == "never"]
    assert [(dot["within"], dot["simulated"]) for dot in never] == [(False, False)]


async def test_a_percentile_that_falls_on_silence_is_never_and_not_a_number(pool: Pool, database: str) -> None:
    for _ in range(8):
        await order(pool, delivered_at=0.1, committed_at=1)
    await order(pool)
    await order(pool)
    (card,) = (await ask(database, "/v1/scorecards")).json()["items"]
    assert (card["turnout"]["n"], card["turnout"]["p50"], card["turnout"]["p90"]) == (10, 54, "never")
    assert card["turnout"]["never_share"] == 0.2


async def test_months_are_told_apart_and_older_ones_are_left_out(pool: Pool, database: str) -> None:
    first = NOW.replace(day=1, hour=0, minute=0)
    await order(pool, issued_at=first - timedelta(days=10), delivered_at=1, committed_at=2)
    await order(pool, issued_at=first - timedelta(days=400), delivered_at=1, committed_at=2)
    await order(pool, issued_at=min(first + MINUTE, NOW - MINUTE), committed_at=3)
    (card,) = (await ask(database, "/v1/scorecards?months=3")).json()["items"]
    assert [(month["month"], month["turnout"]["p50"]) for month in card["months"]] == [
        (f"{first - timedelta(days=10):%Y-%m}", 60),
        (f"{first:%Y-%m}", 180),
    ]


async def test_real_incidents_and_drills_are_never_mixed(pool: Pool, database: str) -> None:
    await order(pool, delivered_at=1, committed_at=2)
    await order(pool, status="Exercise", delivered_at=1, committed_at=4)
    (real,) = (await ask(database, "/v1/scorecards")).json()["items"]
    (drilled,) = (await ask(database, "/v1/scorecards", namespace=Namespace.EXERCISE)).json()["items"]
    assert (real["orders"], real["turnout"]["p50"]) == (1, 60)
    assert (drilled["orders"], drilled["turnout"]["p50"]) == (1, 180)


async def test_what_a_simulation_answered_is_told_apart_and_can_be_left_out(pool: Pool, database: str) -> None:
    await write_drill(pool)
    seats = {"traffic": "real", "fire": "simulated", "water": "stand-in"}
    await pool.execute("UPDATE drills SET seats = $1::jsonb", json.dumps(seats))
    site = Namespace.EXERCISE
    found = {
        each["id"]: each for each in (await ask(database, "/v1/scorecards?months=60", namespace=site)).json()["items"]
    }
    assert {name: card["simulated"] for name, card in found.items()} == {
        "fire": 1,
        "police": 1,
        "traffic": 0,
        "water": 2,
    }
    assert found["traffic"]["orders"] == 1, "what is ordered after ENDEX is not asked for"
    people = (await ask(database, "/v1/scorecards?months=60&answered=people", namespace=site)).json()["items"]
    assert [each["id"] for each in people] == ["traffic"]


async def test_a_drill_under_way_is_not_reckoned_with(pool: Pool, database: str) -> None:
    await write_drill(pool)
    await pool.execute("UPDATE drills SET ended_at = NULL, ending = NULL")
    answer = await ask(database, "/v1/scorecards?months=60", namespace=Namespace.EXERCISE)
    assert answer.json()["items"] == []


async def test_a_department_reads_its_own_card_and_no_other(pool: Pool, database: str) -> None:
    await publish_shipped(pool)
    await write_small_case(pool)
    await order(pool, "police", delivered_at=1)
    assert [each["id"] for each in (await ask(database, "/v1/scorecards", "medic")).json()["items"]] == ["ems"]
    assert (await ask(database, "/v1/scorecards/ems", "medic")).status_code == 200
    assert (await ask(database, "/v1/scorecards/police", "medic")).status_code == 403
    assert (await ask(database, "/v1/scorecards?by=role", "medic")).status_code == 403
    assert (await ask(database, "/v1/scorecards", NOBODY)).status_code == 401
    assert (await ask(database, "/v1/scorecards/nobody")).status_code == 404


async def test_cards_come_page_by_page_and_by_role(pool: Pool, database: str) -> None:
    for department, role in (("ems", "medical"), ("fire", "rescue"), ("police", "cordon"), ("police", "rescue")):
        await order(pool, department, role=role, delivered_at=1, committed_at=2)
    first = (await ask(database, "/v1/scorecards?limit=2")).json()
    second = (await ask(database, f"/v1/scorecards?limit=2&cursor={first['next']}")).json()
    assert [each["id"] for each in (*first["items"], *second["items"])] == ["ems", "fire", "police"]
    assert second["next"] is None
    roles = (await ask(database, "/v1/scorecards?by=role")).json()["items"]
    assert {each["id"]: each["orders"] for each in roles} == {"cordon": 1, "medical": 1, "rescue": 2}
    assert (await ask(database, "/v1/scorecards?cursor=%21")).status_code == 422


def done(**given: Any) -> Done:
    blank = dict.fromkeys(name for name in Done.__dataclass_fields__ if name.endswith(("_at", "_by")))
    values = {"id": uuid7(), "incident_id": uuid7(), "department": "ems", "role": "medical", "task": "triage"}
    return Done(**{**blank, **values, "simulated": False, "issued_at": BEGUN, "closed_at": NOW, **given})


@given(
    st.lists(
        st.tuples(st.none() | st.integers(0, 600), st.booleans(), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_every_order_is_in_exactly_one_place(made: list[tuple[int | None, bool, bool]]) -> None:
    orders = [
        done(
            acknowledge_by=BEGUN + 5 * MINUTE,
            closed_at=NOW if was_watched else BEGUN + MINUTE,
            **({("declined_at" if says_no else "committed_at"): BEGUN + took * SECOND} if took is not None else {}),
        )
        for took, says_no, was_watched in made
    ]
    card = card_of(orders)
    assert card.answered + card.unanswered + card.cut_short == card.orders == len(made)
    turnout = card.turnout.summary
    assert turnout.n == card.answered - card.declined + card.unanswered
    assert turnout.censored == card.unanswered
    assert turnout.p50 is not NEVER or turnout.censored * 2 > turnout.n


@pytest.mark.parametrize(
    ("given_", "completed", "n"),
    [
        ({"complete_by": BEGUN + MINUTE, "failed_at": BEGUN + 10 * SECOND}, 0, 1),
        ({"complete_by": BEGUN + MINUTE}, 0, 1),
        ({"complete_by": NOW + MINUTE}, 0, 0),
        ({"complete_by": BEGUN + MINUTE, "declined_at": BEGUN}, 0, 0),
        ({"completed_at": BEGUN + MINUTE}, 1, 1),
    ],
)
def test_what_was_not_done_in_time_counts_as_never_done(given_: dict[str, Any], completed: int, n: int) -> None:
    card = card_of([done(**given_)])
    assert (card.completed, card.completion.summary.n) == (completed, n)
    assert card.completion.summary.censored == n - completed
