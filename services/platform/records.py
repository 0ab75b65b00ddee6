"""Incidents as rows: read with all that hangs on them, and written back where they changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter
from pydantic_core import to_json

from schemas.incident import IncidentReport
from schemas.vocabulary import ActivationState, AssignmentState, Status
from services.domain.incident import Activation, AddedTask, Assignment, Deadline, Incident, Obstacle, Phase
from services.platform.chain import Head
from services.platform.postgres import Connection

_ASSIGNMENT = tuple(field.name for field in fields(Assignment))
_ACTIVATION = tuple(field.name for field in fields(Activation))
_OBSTACLE = tuple(field.name for field in fields(Obstacle))
_ADDED = TypeAdapter(tuple[AddedTask, ...])


async def load(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Incident]:
    """Read the known ones of these incidents; unknown ones are left out."""
    return (await load_with_heads(connection, ids))[0]


async def load_with_heads(connection: Connection, ids: Iterable[UUID]) -> tuple[dict[UUID, Incident], dict[UUID, Head]]:
    """Read the known ones of these incidents, and the heads of their chains."""
    wanted = list(ids)
    rows = await connection.fetch(
        "SELECT i.*, c.number AS chain_number, c.hash AS chain_hash"
        " FROM incidents AS i LEFT JOIN chains AS c ON c.incident_id = i.id WHERE i.id = ANY ($1::uuid[])",
        wanted,
    )
    heads = {row["id"]: Head(row["chain_number"], row["chain_hash"]) for row in rows if row["chain_hash"] is not None}
    known = [row["id"] for row in rows]
    if not known:
        return {}, heads
    activations: dict[UUID, dict[UUID, Activation]] = {id_: {} for id_ in known}
    assignments: dict[UUID, dict[UUID, Assignment]] = {id_: {} for id_ in known}
    obstacles: dict[UUID, dict[UUID, Obstacle]] = {id_: {} for id_ in known}
    for row in await _of(connection, "activations", "matched_at", known):
        activations[row["incident_id"]][row["id"]] = _activation(row)
    for row in await _of(connection, "assignments", "issued_at", known):
        assignments[row["incident_id"]][row["id"]] = _assignment(row)
    for row in await _of(connection, "obstacles", "reported_at", known):
        obstacles[row["incident_id"]][row["id"]] = Obstacle(**{name: row[name] for name in _OBSTACLE})
    incidents = {
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
    return incidents, heads


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
    values = {name: row[name] for name in _ASSIGNMENT}
    values["state"] = AssignmentState(values["state"])
    values["missed"] = tuple(Deadline(name) for name in values["missed"])
    values["ladder"] = Deadline(values["ladder"]) if values["ladder"] else None
    return Assignment(**values)


class Changes:
    """Rows to write, gathered from incidents as they were read and as they were decided."""

    def __init__(self) -> None:
        self.incidents: list[dict[str, Any]] = []
        self.activations: list[dict[str, Any]] = []
        self.assignments: list[dict[str, Any]] = []
        self.obstacles: list[dict[str, Any]] = []

    def add(self, before: Incident | None, after: Incident, now: datetime) -> None:
        """Gather what differs; an entity that was not touched is the same object and costs nothing."""
        self.incidents.append(
            {
                "id": after.id,
                "status": after.status,
                "phase": after.phase,
                "report": after.report,
                "reported_at": after.reported_at,
                "cancelled": after.cancelled,
                "joined_to": after.joined_to,
                "closed_at": after.closed_at,
                "recorded_at": now,
            }
        )
        whose = {"incident_id": after.id, "status": after.status}
        self.activations += _changed(before.activations if before else {}, after.activations, _ACTIVATION, whose)
        self.assignments += _changed(before.assignments if before else {}, after.assignments, _ASSIGNMENT, whose)
        self.obstacles += _changed(before.obstacles if before else {}, after.obstacles, _OBSTACLE, whose)


def _changed(
    before: Mapping[UUID, Any], after: Mapping[UUID, Any], names: tuple[str, ...], whose: dict[str, Any]
) -> list[dict[str, Any]]:
    return [
        {**whose, **{name: getattr(entity, name) for name in names}}
        for key, entity in after.items()
        if before.get(key) is not entity
    ]


def rows(items: Sequence[Any]) -> str:
    """Write rows as the JSON that ``jsonb_populate_recordset`` reads."""
    return to_json(items).decode()
