"""A small drill put on record by hand: six orders of one task, and the timeline that told of them."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from schemas.base import Text
from schemas.drill import DrillDocument
from schemas.timeline import Entry
from services.drills.record import DrillRow, Ending, begin, end, note_inject
from services.platform.postgres import Pool
from services.platform.published import publish
from services.playbooks.plans import canonical, digest
from tests.domain.builders import START, make_id
from tests.playbooks.sample import directory, plan

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOSTILE = '<script>alert(1)</script> & "quoted" #let x = [*] \\'
DRILL, INCIDENT, ACTIVATION = make_id(1), make_id(2), make_id(3)

_DOCUMENT: dict[str, Any] = {
    "id": "flood-drill",
    "version": 1,
    "title": {"en": "Flood", "zh": "洪水"},
    "purpose": {"en": "Shows who closes the road.", "zh": "检验由谁封路。"},
    "kind": {"content": "single-item", "form": "tabletop"},
    "announced": False,
    "plans": ["river-flood"],
    "speed": 60,
    "duration": "30m",
    "objectives": [
        {
            "id": "soon",
            "title": {"en": "Somebody closes the road soon", "zh": "尽快有人封路"},
            "criterion": {
                "segment": "turnout",
                "measure": "share",
                "within": "1m",
                "at_least": 90,
                "tasks": ["close-road"],
            },
        }
    ],
    "targets": {"alarm_handling": "1m", "turnout": "2m"},
    "participants": [
        {
            "department": "default",
            "answer": {"median": "20s", "spread": "20s"},
            "start": {"median": "1m", "spread": "1m"},
            "work": {"median": "5m", "spread": "5m"},
        }
    ],
    "injects": [
        {
            "id": "water-rises",
            "at": "0s",
            "kind": "incident",
            "title": {"en": "The water rises", "zh": "水位上涨"},
            "expectation": {"en": "The road is closed", "zh": "封闭道路"},
            "report": {"categories": ["Met"], "headline": {"en": "Water over the road", "zh": "水漫道路"}},
        }
    ],
}


def document(**changes: Any) -> DrillDocument:
    """Give the drill's document, some of it changed."""
    return DrillDocument.model_validate({**_DOCUMENT, **changes})


def at(minutes: float) -> datetime:
    """Give a moment after STARTEX."""
    return START + minutes * MINUTE


class History:
    """Writes a drill as the controller and the services would have, entry by entry."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._given = 100

    async def begin(self, drill: DrillDocument | None = None) -> None:
        """STARTEX: the plan is published, the drill begun, its one incident played and answered by the plan."""
        await publish(
            self.pool,
            [(digest(plan()), plan().id, 1, canonical(plan()))],
            (digest(directory()), canonical(directory())),
        )
        await begin(self.pool, self.row(drill))
        await note_inject(self.pool, DRILL, "water-rises", make_id(10), INCIDENT, START)
        await self.pool.execute(
            "INSERT INTO activations"
            " (id, incident_id, status, plan, version, digest, state, matched_at, overridden, unfilled)"
            " VALUES ($1, $2, 'Exercise', 'river-flood', 1, $3, 'activated', $4, false, '{}')",
            ACTIVATION,
            INCIDENT,
            digest(plan()),
            START,
        )
        await self.pool.execute(
            "INSERT INTO incidents (id, status, phase, report, reported_at, cancelled, closed_at, recorded_at)"
            " VALUES ($1, 'Exercise', 'closed', '{}', $2, false, $2, $2)",
            INCIDENT,
            START,
        )

    def row(self, drill: DrillDocument | None = None) -> DrillRow:
        """Give the drill's own row."""
        return DrillRow(DRILL, drill or document(), 7, 60.0, START, START)

    async def end(self, minutes: float = 10) -> None:
        """ENDEX."""
        await end(self.pool, self.row(), at(minutes), Ending.FINISHED)

    async def tell(
        self, entry: Entry, when: datetime, *, order: UUID | None = None, by: str | None = None, **detail: Any
    ) -> UUID:
        """Put one entry into the timeline, about an order where one is given; gives its id."""
        self._given += 1
        department = detail.pop("department", None)
        broker_at, recorded_at = detail.pop("broker_at", None), detail.pop("recorded_at", when)
        await self.pool.execute(
            "INSERT INTO timeline (entry_id, incident_id, status, entry, activation_id, assignment_id, department,"
            " attention, by, reason, detail, occurred_at, broker_at, recorded_at)"
            " VALUES ($1, $2, 'Exercise', $3, $4, $5, $6, false, $7, $8, $9, $10, $11, $12)",
            make_id(self._given),
            INCIDENT,
            entry,
            None if entry is Entry.REPORTED else ACTIVATION,
            order,
            department,
            by,
            detail.pop("reason", None),
            json.dumps(detail),
            when,
            broker_at,
            recorded_at,
        )
        return make_id(self._given)

    async def order(
        self, number: int, department: str, minutes: float, *, task: str = "close-road", **more: Any
    ) -> UUID:
        """Put one order on record, with an entry for each of its times."""
        id_ = make_id(number)
        issued_at = at(minutes)
        values: dict[str, Any] = {
            "id": id_,
            "activation_id": ACTIVATION,
            "incident_id": INCIDENT,
            "status": "Exercise",
            "task": task,
            "role": "cordon",
            "department": department,
            "issued_at": issued_at,
            "state": "issued",
            "revision": 1,
            "silent": False,
            "acknowledge_by": issued_at + 5 * MINUTE,
            "missed": [],
            "rung": 0,
            **more,
        }
        places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
        await self.pool.execute(
            f"INSERT INTO assignments ({', '.join(values)}) VALUES ({places})",  # noqa: S608 - the test's own words
            *values.values(),
        )
        told = {
            Entry.ISSUED: issued_at,
            Entry.DELIVERED: more.get("delivered_at"),
            Entry.COMMITTED: more.get("committed_at"),
            Entry.DECLINED: more.get("declined_at"),
            Entry.STARTED: more.get("started_at"),
            Entry.COMPLETED: more.get("completed_at"),
        }
        for entry, when in told.items():
            if when is not None:
                await self.tell(entry, when, order=id_, department=department, task=task, role="cordon")
        for deadline in more.get("missed", ()):
            by = values[f"{deadline}_by"]
            await self.tell(
                Entry.OVERDUE, by, order=id_, department=department, task=task, role="cordon", deadline=deadline
            )
        return id_


async def write_drill(pool: Pool, *, title: str = "Flood", drill: DrillDocument | None = None) -> History:
    """Put the small drill on record."""
    history = History(pool)
    await history.begin((drill or document()).model_copy(update={"title": Text(en=title, zh="洪水")}))
    await history.tell(Entry.REPORTED, START, headline=HOSTILE, broker_at=START + 6 * SECOND, recorded_at=at(0.2))
    await pool.execute(
        "INSERT INTO outbox (event_id, incident_id, status, namespace, topic, type, time, source, value, lease_until,"
        " published_at) VALUES ($1, $2, 'Exercise', 'exercise', 't', 'muster.assignment', $3, 's', '{}', $3, $4)",
        make_id(12),
        INCIDENT,
        START,
        START + 0.5 * SECOND,
    )
    await history.tell(Entry.ACTIVATED, at(0.3), by="Duty officer", level="II", plan="river-flood")
    declined: dict[str, Any] = {"declined_at": at(1), "state": "declined", "reason": "No crew", "ended_at": at(1)}
    await history.order(20, "police", 0, **declined)
    done: dict[str, Any] = {"state": "completed", "completed_at": at(9), "ended_at": at(9)}
    await history.order(21, "traffic", 1, delivered_at=at(1.5), committed_at=at(2), started_at=at(3), **done)
    await history.order(22, "fire", 1, delivered_at=at(1), started_at=at(5), state="started")
    await history.order(23, "water", 1, delivered_at=at(1), missed=["acknowledge"])
    await history.order(24, "water", 8, delivered_at=at(8.5))
    await history.order(25, "traffic", 12, committed_at=at(13))  # after ENDEX: a stand-down task
    await pool.execute(
        "INSERT INTO obstacles (id, incident_id, status, assignment_id, department, description, owner, reported_at)"
        " VALUES ($1, $2, 'Exercise', $3, 'traffic', $4, 'duty officer', $5)",
        make_id(40),
        INCIDENT,
        make_id(21),
        HOSTILE,
        at(6),
    )
    await history.tell(
        Entry.BLOCKED,
        at(6),
        order=make_id(21),
        department="traffic",
        task="close-road",
        reason=HOSTILE,
        obstacle_id=str(make_id(40)),
    )
    await history.end()
    return history
