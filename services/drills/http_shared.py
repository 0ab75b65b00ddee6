"""What the routes about drills share: who may call them, bodies within bounds, refusals, and doing nothing twice."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Path as InPath
from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from schemas.base import Id
from schemas.envelope import explain
from schemas.vocabulary import Role
from services.drills.record import DrillError, DrillRow, read_drill, sql
from services.drills.starting import Launcher
from services.platform.access.guard import allow
from services.platform.access.principal import STAFF, Principal
from services.platform.body import JSON, read_body, read_key
from services.platform.postgres import Pool
from services.platform.problem import ProblemError, documented
from services.platform.published import PublishedPlaybook
from services.platform.strict_json import MalformedError, read_object

S = HTTPStatus
READ = documented(S.UNAUTHORIZED, S.FORBIDDEN, S.NOT_FOUND, S.UNPROCESSABLE_ENTITY)
WRITE = READ | documented(S.BAD_REQUEST, S.CONFLICT, S.REQUEST_ENTITY_TOO_LARGE, S.UNSUPPORTED_MEDIA_TYPE)

Reader = Annotated[Principal, allow(*STAFF)]
Planner = Annotated[Principal, allow(Role.PLANNER)]
Reviewer = Annotated[Principal, allow(Role.EVALUATOR, Role.PLANNER)]

DrillId = Annotated[Id, InPath(description="A drill's id.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=200)]
STORED = r"^[^\x00]*$"
"""What Postgres can keep: everything but the character zero."""
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=STORED)]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=STORED)]

Said = TypeVar("Said", bound=BaseModel)


class In(BaseModel):
    """A body: a field that nobody knows is a mistake and is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Backstage:
    """What the routes work with: connections held to the exercise, the plans in force, and where scenarios lie.

    Without a ``launcher`` drills can't be started here.
    """

    pool: Pool
    playbook: PublishedPlaybook
    playbooks: Path
    launcher: Launcher | None = None


@contextmanager
def refusals(status: HTTPStatus = S.CONFLICT) -> Iterator[None]:
    """Answer what a drill refuses with a problem document."""
    try:
        yield
    except DrillError as error:
        raise ProblemError(status, str(error), kind="refused") from None


async def known(pool: Pool, drill_id: UUID) -> DrillRow:
    """Read a drill; raises `ProblemError` (404) when there is none."""
    try:
        return await read_drill(pool, drill_id)
    except DrillError:
        raise unknown(drill_id) from None


def unknown(drill_id: UUID) -> ProblemError:
    """Say that there is no such drill."""
    return ProblemError(S.NOT_FOUND, f"drill {drill_id}: there is none on record; see GET /v1/drills", kind="unknown")


async def read_said(request: Request, model: type[Said]) -> Said:
    """Read a JSON body strictly and within bounds; raises `ProblemError`."""
    _, body = await read_body(request, JSON)
    try:
        return model.model_validate(read_object(body))
    except MalformedError as error:
        raise ProblemError(S.BAD_REQUEST, str(error), kind="malformed") from None
    except ValidationError as error:
        raise ProblemError(S.UNPROCESSABLE_ENTITY, explain(error), kind="invalid") from None


Act = Callable[[], Awaitable[BaseModel]]


async def once(
    backstage: Backstage,
    request: Request,
    caller: Principal,
    said: BaseModel,
    act: Act,
    status: HTTPStatus = S.OK,
) -> Response:
    """Do something that changes the record, and answer it; a repeat under the same key is answered and not done."""
    key = read_key(request)
    if key is None:
        return _answer((await act()).model_dump_json(), status)
    told = f"{request.method} {request.scope['path']} {said.model_dump_json()}"
    digest = hashlib.sha256(told.encode()).hexdigest()
    if await backstage.pool.fetchval(sql("claim_request"), caller.id, key, digest) is None:
        return await _repeat(backstage.pool, caller.id, key, digest)
    try:
        answer = (await act()).model_dump_json()
    except BaseException:
        # What was refused may be asked again.
        await backstage.pool.execute("DELETE FROM drill_requests WHERE caller = $1 AND key = $2", caller.id, key)
        raise
    await backstage.pool.execute(sql("answer_request"), caller.id, key, int(status), answer)
    return _answer(answer, status)


async def _repeat(pool: Pool, caller: UUID, key: str, digest: str) -> Response:
    row = await pool.fetchrow("SELECT * FROM drill_requests WHERE caller = $1 AND key = $2", caller, key)
    if row is None or row["code"] is None:
        raise ProblemError(S.CONFLICT, "the same request is in hand; ask again in a moment", kind="in-hand")
    if row["digest"] != digest:
        raise ProblemError(S.CONFLICT, "Idempotency-Key: was used for another request; send a new one", kind="conflict")
    return _answer(row["answer"], S(row["code"]), {"Idempotent-Replayed": "true"})


def _answer(content: str, status: HTTPStatus, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(json.loads(content), status, headers)
