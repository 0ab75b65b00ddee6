"""What departments and tasks are called, as the drill's directory and the plans that were followed word it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from schemas.base import Text
from services.drills.record import sql
from services.platform.postgres import Connection

Documents = Mapping[str, Mapping[str, Any]]
"""Plans as they were written, by digest."""


@dataclass(frozen=True, slots=True)
class Titles:
    """Titles by id; what has none is called by its id.

    ``tasks`` are the plans', by digest; ``added`` those that a duty officer gave beside the plan, by activation.
    """

    departments: Mapping[str, Text]
    tasks: Mapping[tuple[str, str], Text]
    added: Mapping[tuple[UUID, str], Text] = field(default_factory=dict)

    def department(self, id_: str) -> Text:
        """Name a department."""
        return self.departments.get(id_) or Text(en=id_, zh=id_)

    def task(self, id_: str, activation: UUID | None, digest: str = "") -> Text:
        """Name a task of an activation, whose plan has this wording."""
        if activation is not None and (activation, id_) in self.added:
            return self.added[activation, id_]
        return self.tasks.get((digest, id_)) or self.any_task(id_)

    def any_task(self, id_: str) -> Text:
        """Name a plan's task where the plan isn't known."""
        return next((title for (_, task), title in self.tasks.items() if task == id_), Text(en=id_, zh=id_))


async def read_documents(connection: Connection, digests: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Read these wordings of plans."""
    rows = await connection.fetch(
        "SELECT digest, document FROM plans WHERE digest = ANY ($1::text[]) ORDER BY digest", sorted(digests)
    )
    return {row["digest"]: json.loads(row["document"]) for row in rows}


async def read_titles(connection: Connection, drill_id: UUID, documents: Documents) -> Titles:
    """Read the titles of the departments as they were called at the drill, and of the tasks of these plans."""
    directory = await connection.fetchrow(sql("drill_directory"), drill_id)
    departments = json.loads(directory["document"])["departments"] if directory else []
    tasks = {
        (digest, task["id"]): Text.model_validate(task["title"])
        for digest, document in documents.items()
        for name in ("tasks", "reports", "stand_down")
        for task in document.get(name) or ()
    }
    return Titles({item["id"]: Text.model_validate(item["title"]) for item in departments}, tasks)
