"""What departments and tasks are called, as the directory in force and the plans that were followed word it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.base import Text

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]


@dataclass(frozen=True, slots=True)
class Titles:
    """Titles by id; what has none is called by its id."""

    departments: Mapping[str, Text]
    tasks: Mapping[tuple[str, str], Text]

    def department(self, id_: str) -> Text:
        """Name a department."""
        return self.departments.get(id_) or Text(en=id_, zh=id_)

    def task(self, digest: str, id_: str) -> Text:
        """Name a task of the plan with this wording."""
        return self.tasks.get((digest, id_)) or self.any_task(id_)

    def any_task(self, id_: str) -> Text:
        """Name a task where its plan isn't known."""
        return next((title for (_, task), title in self.tasks.items() if task == id_), Text(en=id_, zh=id_))


async def read_titles(connection: "Connection", digests: Iterable[str]) -> Titles:
    """Read the titles of the directory in force, and of the tasks of these plan wordings."""
    directory = await connection.fetchval(
        "SELECT document FROM directories WHERE digest = (SELECT directory FROM publication ORDER BY id DESC LIMIT 1)"
    )
    departments = json.loads(directory)["departments"] if directory else []
    tasks: dict[tuple[str, str], Text] = {}
    for row in await connection.fetch(
        "SELECT digest, document FROM plans WHERE digest = ANY ($1::text[])", sorted(digests)
    ):
        document = json.loads(row["document"])
        for name in ("tasks", "reports", "stand_down"):
            for task in document.get(name) or ():
                tasks[row["digest"], task["id"]] = Text.model_validate(task["title"])
    return Titles({item["id"]: Text.model_validate(item["title"]) for item in departments}, tasks)
