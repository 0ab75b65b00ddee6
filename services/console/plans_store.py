"""The published plans as they were written, read from Postgres: those in force, older wordings, and their history."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from http import HTTPStatus
from uuid import UUID

import asyncpg

from schemas.plan import DirectoryDocument, PlanDocument
from services.console.world import statement
from services.domain.matching import PlanIndex
from services.domain.playbook import Playbook
from services.platform.postgres import Pool
from services.platform.problem import ProblemError
from services.playbooks.directory import compile_directory
from services.playbooks.lint import lint
from services.playbooks.plans import compile_plan
from services.playbooks.problem import Problem

_LATEST = "SELECT id, published_at, plans, directory FROM publication ORDER BY id DESC LIMIT 1"
_WORDINGS = "SELECT digest, plan, version, document, published_at FROM plans"


@dataclass(frozen=True)
class Wording:
    """One wording of a plan; ``published_at`` is when it was first put into force."""

    digest: str
    plan: str
    version: int
    published_at: datetime
    document: PlanDocument
    in_force: bool = False


@dataclass(frozen=True)
class Shelf:
    """What is in force: every plan by id, in the order of ids, and the directory."""

    publication: int
    published_at: datetime
    plans: Mapping[str, Wording]
    directory: DirectoryDocument
    directory_digest: str

    @cached_property
    def playbook(self) -> Playbook:
        """Compile what is in force."""
        plans = [compile_plan(wording.document) for wording in self.plans.values()]
        return Playbook(PlanIndex(plans), {plan.digest: plan for plan in plans}, compile_directory(self.directory))

    def problems(self, today: date) -> list[Problem]:
        """Lint what is in force; a plan's id stands for its file."""
        return lint([wording.document for wording in self.plans.values()], self.directory, today)


@dataclass(frozen=True, slots=True)
class Change:
    """From ``since`` on this wording of a plan was in force, or none."""

    since: datetime
    publication: int
    digest: str | None
    version: int | None


@dataclass(frozen=True, slots=True)
class LastDrill:
    """The last drill in which a plan was put into force."""

    id: UUID
    drill: str
    title: dict[str, str]
    started_at: datetime


class PlanStore:
    """Reads the published plans; what is in force is read again only when something else was published.

    ``exercises`` reads the exercise namespace, where drills are; None where this process has nothing to do with it.
    """

    def __init__(self, pool: Pool, exercises: Pool | None = None) -> None:
        self._pool = pool
        self._exercises = exercises
        self._shelf: Shelf | None = None
        self._lock = asyncio.Lock()

    async def shelf(self) -> Shelf:
        """Give what is in force; raises `ProblemError` when nothing is."""
        latest = await self._pool.fetchrow(_LATEST)
        if latest is None:
            detail = "no plans are published; run `muster plan publish`"
            raise ProblemError(HTTPStatus.NOT_FOUND, detail, kind="unpublished")
        async with self._lock:
            shelf = self._shelf
            if shelf is None or shelf.publication != latest["id"]:
                rows = await self._pool.fetch(f"{_WORDINGS} WHERE digest = ANY ($1) ORDER BY plan", latest["plans"])
                directory = await self._pool.fetchval(
                    "SELECT document FROM directories WHERE digest = $1", latest["directory"]
                )
                self._shelf = shelf = await asyncio.to_thread(_make_shelf, latest, rows, directory)
            return shelf

    async def wording(self, plan: str, version: int | None = None) -> Wording:
        """Give a plan as it is in force, or one version of it, in force or not; raises `ProblemError` for none."""
        shelf = await self.shelf()
        current = shelf.plans.get(plan)
        if current is not None and version in {None, current.version}:
            return current
        row = None
        if version is not None:
            row = await self._pool.fetchrow(f"{_WORDINGS} WHERE plan = $1 AND version = $2", plan, version)
        if row is None:
            raise _unknown(f"plan {plan}" if version is None else f"version {version} of plan {plan}")
        return _wording(row)

    async def wordings(self, plan: str) -> list[Wording]:
        """List every wording of a plan that was ever published, the newest version first; raises `ProblemError`."""
        shelf = await self.shelf()
        rows = await self._pool.fetch(f"{_WORDINGS} WHERE plan = $1 ORDER BY version DESC", plan)
        if not rows:
            raise _unknown(f"plan {plan}")
        current = shelf.plans.get(plan)
        wordings = await asyncio.to_thread(lambda: [_wording(row) for row in rows])
        return [replace(each, in_force=current is not None and each.digest == current.digest) for each in wordings]

    async def history(self, plan: str) -> list[Change]:
        """List when which wording of a plan came into force or went, oldest first."""
        rows = await self._pool.fetch(statement("plan_history"), plan)
        changes = [Change(**row) for row in rows]
        return changes[1:] if changes and changes[0].digest is None else changes

    async def last_drills(self) -> dict[str, LastDrill]:
        """Give the last drill of each plan, as far as this process may know of drills."""
        if self._exercises is None:
            return {}
        rows = await self._exercises.fetch(statement("plan_drills"))
        return {
            row["plan"]: LastDrill(row["id"], row["drill"], json.loads(row["title"]), row["started_at"]) for row in rows
        }


def _unknown(what: str) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"{what}: there is none; see GET /v1/plans", kind="unknown-plan")


def _make_shelf(latest: asyncpg.Record, rows: list[asyncpg.Record], directory: str) -> Shelf:
    return Shelf(
        publication=latest["id"],
        published_at=latest["published_at"],
        plans={row["plan"]: replace(_wording(row), in_force=True) for row in rows},
        directory=DirectoryDocument.model_validate_json(directory),
        directory_digest=latest["directory"],
    )


def _wording(row: asyncpg.Record) -> Wording:
    document = PlanDocument.model_validate_json(row["document"])
    return Wording(row["digest"], row["plan"], row["version"], row["published_at"], document)
