"""Incidents as rows: read with all that hangs on them, and written back where they changed."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter
from pydantic_core import to_json

from schemas.incident import IncidentReport
from schemas.vocabulary import ActivationState, AssignmentState, Status
from services.domain.changing import make, replace
from services.domain.filling import reach
from services.domain.incident import Activation, AddedTask, Assignment, Deadline, Incident, Obstacle, Phase
from services.domain.plan import Plan
from services.platform.postgres import Connection

_Entity = TypeVar("_Entity")
_ASSIGNMENT = tuple(field.name for field in fields(Assignment))
_ACTIVATION = tuple(field.name for field in fields(Activation))
_OBSTACLE = tuple(field.name for field in fields(Obstacle))
_INCIDENT = ("id", "status", "phase", "report", "reported_at", "cancelled", "joined_to", "closed_at")
_own = attrgetter(*_INCIDENT)
NEW_ASSIGNMENT = (*_ASSIGNMENT[:2], "incident_id", "status", *_ASSIGNMENT[2:])
"""The columns of the type of this name, in their order: a row is written as a tuple, which has none."""
_assignment_values = attrgetter(*_ASSIGNMENT)
# The columns' names are the fields'; ids are bound.
_ASSIGNMENTS = (
    f"SELECT incident_id, {', '.join(_ASSIGNMENT)} FROM assignments"  # noqa: S608
    " WHERE incident_id = ANY ($1::uuid[]) AND (%s) ORDER BY issued_at, id"
)
_ALL = _ASSIGNMENTS % "true"
_OF_ANSWERED_TASKS = _ASSIGNMENTS % (
    "incident_id = ANY ($2::uuid[]) OR (activation_id, task) IN ("
    "SELECT activation_id, task FROM assignments WHERE id = ANY ($3::uuid[]) AND incident_id = ANY ($1::uuid[]))"
)
_OF_TASKS = _ASSIGNMENTS % "(activation_id, task) IN (SELECT * FROM unnest($2::uuid[], $3::text[]))"
_STATES = {state.value: state for state in AssignmentState}
_ADDED = TypeAdapter(tuple[AddedTask, ...])


async def load(
    connection: Connection, ids: Iterable[UUID], answered: Mapping[UUID, Collection[UUID]] | None = None
) -> dict[UUID, Incident]:
    """Read the known ones of these incidents; unknown ones are left out.

    With ``answered``, assignments by incident, nothing but answers about these is to be decided: an incident that isn't
    closing is given with the assignments of their tasks only, see `add_reach`; whole, though, when one of them isn't
    there yet, since what is decided first may issue it (a record is caught up with from answers given long ago).
    """
    rows = await connection.fetch("SELECT * FROM incidents WHERE id = ANY ($1::uuid[])", list(ids))
    known = [row["id"] for row in rows]
    if not known:
        return {}
    activations: dict[UUID, dict[UUID, Activation]] = {id_: {} for id_ in known}
    assignments: dict[UUID, dict[UUID, Assignment]] = {id_: {} for id_ in known}
    obstacles: dict[UUID, dict[UUID, Obstacle]] = {id_: {} for id_ in known}
    for row in await _of(connection, "activations", "matched_at", known):
        activations[row["incident_id"]][row["id"]] = _activation(row)
    if answered is None:
        given = await connection.fetch(_ALL, known)
    else:
        closing = [row["id"] for row in rows if row["phase"] == Phase.CLOSING]
        asked = [id_ for some in answered.values() for id_ in some]
        given = await connection.fetch(_OF_ANSWERED_TASKS, known, closing, asked)
        there = {(row["incident_id"], row["id"]) for row in given}
        whole = {of for of, some in answered.items() if any((of, id_) not in there for id_ in some)}
        whole &= assignments.keys()
        if whole:
            given = [row for row in given if row["incident_id"] not in whole]
            given += await connection.fetch(_ALL, list(whole))
    for row in given:
        assignments[row["incident_id"]][row["id"]] = _assignment(row)
    for row in await _of(connection, "obstacles", "reported_at", known):
        obstacles[row["incident_id"]][row["id"]] = Obstacle(**{name: row[name] for name in _OBSTACLE})
    return {
        row["id"]: Incident(
            id=row["id"],
            status=Status(row["status"]),
            report=IncidentReport.model_validate_json(row["report"]),
            reported_at=row["reported_at"],
            phase=Phase(row["phase"]),
            cancelled=row["cancelled"],
            joined_to=row["joined_to"],
            closed_at=row["closed_at"],
            activations=activations[row["id"]],
            assignments=assignments[row["id"]],
            obstacles=obstacles[row["id"]],
        )
        for row in rows
    }


async def add_reach(
    connection: Connection, known: dict[UUID, Incident], plans: Mapping[str, Plan]
) -> dict[UUID, Incident]:
    """Give incidents that were read for answers the assignments of all other tasks that these may lead to look at."""
    missing: set[tuple[UUID, str]] = set()
    for incident in known.values():
        if incident.phase is not Phase.CLOSING:
            there = {(each.activation_id, each.task) for each in incident.assignments.values()}
            for activation_id, task in there:
                plan = plans[incident.activations[activation_id].digest]
                missing |= {(activation_id, name) for name in reach(plan, task)} - there
    if not missing:
        return known
    found: dict[UUID, dict[UUID, Assignment]] = {}
    activations, tasks = zip(*missing, strict=True)
    for row in await connection.fetch(_OF_TASKS, [*known], activations, tasks):
        found.setdefault(row["incident_id"], {})[row["id"]] = _assignment(row)
    return {
        id_: replace(incident, assignments={**incident.assignments, **found[id_]}) if id_ in found else incident
        for id_, incident in known.items()
    }


async def _of(connection: Connection, table: str, order: str, ids: list[UUID]) -> list[asyncpg.Record]:
    # The table's and the column's names are this module's own words; ids are bound.
    sql = f"SELECT * FROM {table} WHERE incident_id = ANY ($1::uuid[]) ORDER BY {order}, id"  # noqa: S608
    return await connection.fetch(sql, ids)


def _activation(row: asyncpg.Record) -> Activation:
    values = {name: row[name] for name in _ACTIVATION}
    values["state"] = ActivationState(values["state"])
    values["unfilled"] = tuple(values["unfilled"])
    values["added"] = _ADDED.validate_json(values["added"])
    return Activation(**values)


def _assignment(row: asyncpg.Record) -> Assignment:
    values: dict[str, Any] = dict(zip(_ASSIGNMENT, row[1:], strict=True))
    values["state"] = _STATES[values["state"]]
    values["missed"] = tuple(map(Deadline, values["missed"]))
    values["ladder"] = Deadline(values["ladder"]) if values["ladder"] else None
    return make(Assignment, values)


class Changes:
    """Rows to write, gathered from incidents as they were read and as they were decided."""

    def __init__(self) -> None:
        self.incidents: list[dict[str, Any]] = []
        self.activations: list[dict[str, Any]] = []
        self.assignments: list[tuple[Any, ...]] = []
        self.obstacles: list[dict[str, Any]] = []

    def add(self, before: Incident | None, after: Incident, now: datetime) -> None:
        """Gather what differs; an entity that was not touched is the same object and costs nothing."""
        if before is None or _own(before) != _own(after):
            self.incidents.append({**dict(zip(_INCIDENT, _own(after), strict=True)), "recorded_at": now})
        whose = {"incident_id": after.id, "status": after.status}
        for activation in _changed(before.activations if before else {}, after.activations):
            self.activations.append({**whose, **{name: getattr(activation, name) for name in _ACTIVATION}})
        for assignment in _changed(before.assignments if before else {}, after.assignments):
            id_, activation_id, *others = _assignment_values(assignment)
            self.assignments.append((id_, activation_id, after.id, after.status, *others))
        for obstacle in _changed(before.obstacles if before else {}, after.obstacles):
            self.obstacles.append({**whose, **{name: getattr(obstacle, name) for name in _OBSTACLE}})


def _changed(before: Mapping[UUID, _Entity], after: Mapping[UUID, _Entity]) -> Iterator[_Entity]:
    return (entity for key, entity in after.items() if before.get(key) is not entity)


def rows(items: Sequence[Any]) -> str:
    """Write rows as the JSON that ``jsonb_populate_recordset`` reads."""
    return to_json(items).decode()
