"""What a replay is made from, read from Postgres: an incident's inputs, and the plans that were in force then."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from schemas.timeline import Entry
from services.domain.identity import derive_id
from services.domain.incident import Incident
from services.domain.matching import PlanIndex
from services.domain.plan import Plan
from services.domain.playbook import Playbook
from services.drills.record import DrillError
from services.platform.inputs import Input, read_inputs
from services.platform.postgres import Connection
from services.platform.records import load
from services.playbooks.stored import directory_from, plan_from

Pool = asyncpg.Pool


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """By what an order is known again under another plan; ``nth`` counts from 1."""

    plan: str
    task: str
    department: str
    nth: int


def keys_of(incident: Incident) -> dict[UUID, Key]:
    """Name every order of an incident by plan, task, department and the how manieth of these."""
    counts: dict[tuple[str, str, str], int] = {}
    keys: dict[UUID, Key] = {}
    for assignment in incident.assignments.values():
        what = (incident.activations[assignment.activation_id].plan, assignment.task, assignment.department)
        counts[what] = counts.get(what, 0) + 1
        keys[assignment.id] = Key(*what, counts[what])
    return keys


@dataclass(frozen=True, slots=True)
class Publication:
    """The wordings and the directory that were in force from a moment of the wall clock on."""

    since: datetime
    plans: tuple[str, ...]
    directory: str


@dataclass(slots=True)
class Publications:
    """Which wordings were in force when, compiled as they are asked for.

    ``documents`` and ``directories`` hold the published JSON by digest; ``kept`` names the wordings that must be at
    hand at any time. ``instead`` is put in the place of whatever had its id, or beside the others when nothing had.
    ``start`` and ``speed`` lead from the record's clock to the wall's.
    """

    history: Sequence[Publication]
    documents: Mapping[str, str]
    directories: Mapping[str, str]
    kept: frozenset[str]
    start: datetime | None = None
    speed: float = 1.0
    instead: Plan | None = None
    _plans: dict[str, Plan] = field(default_factory=dict)
    _made: dict[Publication, Playbook] = field(default_factory=dict)

    def at(self, moment: datetime) -> Playbook:
        """Give the playbook that was in force at a moment of the record's clock."""
        wall = moment
        if self.start is not None and moment > self.start:
            wall = self.start + (moment - self.start) / self.speed
        before = [each for each in self.history if each.since <= wall]
        publication = before[-1] if before else self.history[0]
        if publication not in self._made:
            self._made[publication] = self._make(publication)
        return self._made[publication]

    def _make(self, publication: Publication) -> Playbook:
        for digest in {*publication.plans, *self.kept} - {*self._plans}:
            self._plans[digest] = plan_from(json.loads(self.documents[digest]))
        published = [self._plans[digest] for digest in publication.plans]
        if self.instead is not None:
            self._plans[self.instead.digest] = self.instead
            published = [*(plan for plan in published if plan.id != self.instead.id), self.instead]
        directory = directory_from(json.loads(self.directories[publication.directory]))
        return Playbook(PlanIndex(published), self._plans, directory)

    def with_plan(self, plan: Plan) -> "Publications":
        """Put another wording in force for the whole time."""
        return replace(self, instead=plan, _plans=dict(self._plans), _made={})


@dataclass(frozen=True, slots=True)
class Join:
    """When the incident joined the response to another, and under which plan."""

    at: datetime
    plan: str
    to: UUID


@dataclass(frozen=True, slots=True)
class Recorded:
    """A past incident: how it stands on record, all that came in about it, and the plans of its time.

    ``ended_at`` is when the last thing on record happened.
    """

    incident: Incident
    inputs: tuple[Input, ...]
    joins: tuple[Join, ...]
    ended_at: datetime
    publications: Publications

    @property
    def replayed_as(self) -> UUID:
        """The replay's own id: made from the incident's, so that the same replay is the same everywhere."""
        return derive_id(self.inputs[0].decided_at, self.incident.id, 0)

    @property
    def keys(self) -> dict[UUID, Key]:
        """What the orders are known by, by their ids."""
        return keys_of(self.incident)

    def under(self, plan: Plan) -> "Recorded":
        """Give the same record with another wording of a plan in force."""
        return replace(self, publications=self.publications.with_plan(plan))

    @property
    def tolerance(self) -> timedelta:
        """How late a live service may have been by the record's clock."""
        return timedelta(seconds=2) * max(1.0, self.publications.speed)


async def read_recorded(pool: "Pool[asyncpg.Record]", incident_id: UUID) -> Recorded:
    """Read all of it, real or exercise; raises `DrillError` when there is no such incident on record."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        incident = (await load(connection, [incident_id])).get(incident_id)
        inputs = await read_inputs(connection, incident_id)
        if incident is None or not inputs:
            raise DrillError(f"incident {incident_id}: there is none on record; see `muster incident list`")
        ended_at = await connection.fetchval(
            "SELECT max(recorded_at) FROM timeline WHERE incident_id = $1", incident_id
        )
        joins = await connection.fetch(
            "SELECT recorded_at, detail FROM timeline WHERE incident_id = $1 AND entry = $2 AND detail ? 'joined_to'"
            " ORDER BY recorded_at",
            incident_id,
            Entry.JOINED.value,
        )
        return Recorded(
            incident=incident,
            inputs=tuple(inputs),
            joins=tuple(_join(row) for row in joins),
            ended_at=max(ended_at or inputs[-1].decided_at, inputs[-1].decided_at),
            publications=await _publications(connection, incident),
        )


def _join(row: asyncpg.Record) -> Join:
    detail = json.loads(row["detail"])
    return Join(row["recorded_at"], detail["plan"], UUID(detail["joined_to"]))


async def _publications(connection: Connection, incident: Incident) -> Publications:
    history = await connection.fetch("SELECT plans, directory, published_at FROM publication ORDER BY id")
    plans = await connection.fetch("SELECT digest, document FROM plans")
    directories = await connection.fetch("SELECT digest, document FROM directories")
    clock = await connection.fetchrow(
        "SELECT clock_start, speed FROM drills WHERE $1 = ANY (incident_ids) ORDER BY started_at LIMIT 1", incident.id
    )
    return Publications(
        history=[Publication(row["published_at"], tuple(row["plans"]), row["directory"]) for row in history],
        documents={row["digest"]: row["document"] for row in plans},
        directories={row["digest"]: row["document"] for row in directories},
        kept=frozenset(activation.digest for activation in incident.activations.values()),
        start=clock["clock_start"] if clock else None,
        speed=clock["speed"] if clock else 1.0,
    )
