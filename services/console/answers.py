"""A department's answers over HTTP: the one way in that Kafka is for programs, for people with a browser.

An answer is kept before it is acknowledged to its sender, goes out on the department's own topic, and tracking
decides it like any other. What the record shows to be refused is told at once; the rest comes as a notice.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from uuid_utils.compat import uuid7

from schemas.acknowledgement import Acknowledgement, Note
from schemas.base import Id, Slug, Time
from schemas.envelope import ACKNOWLEDGEMENT, ADAPTERS, explain
from schemas.topics import ACKNOWLEDGEMENTS, topic_name
from schemas.vocabulary import Answer, Role
from services.console.inbox import unknown_order
from services.console.world import World, statement
from services.domain.decision import Answered, Outcome
from services.domain.engine import decide
from services.platform import acceptance
from services.platform.acceptance import Acceptance, Accepted, ConflictError, InvalidError
from services.platform.access.guard import allow
from services.platform.access.principal import Principal
from services.platform.body import JSON, read_body, read_key
from services.platform.decider import statuses
from services.platform.described import json_body
from services.platform.problem import ProblemError, documented
from services.platform.records import load
from services.platform.strict_json import MalformedError, read_object

SOURCE = "muster/console"
_S = HTTPStatus
_TURNED_DOWN = frozenset({Outcome.REFUSED, Outcome.INVALID})


class AnswerIn(BaseModel):
    """What a department answers. Who answers and for whom is known from the caller and the order.

    ``reason`` says why it is declined, blocked, failed or delegated; ``obstacle`` is another name for it when blocked.
    ``to`` is the department delegated to. ``occurred_at`` is for an answer that had to wait for a connection, by the
    clock that the stream tells; absent it is now.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: Answer
    reason: Note | None = None
    note: Note | None = None
    read_back: Note | None = None
    obstacle: Annotated[Note, Field(description="What stands in the way; with `block` only.")] | None = None
    to: Slug | None = None
    occurred_at: Time | None = None

    @model_validator(mode="after")
    def _says_it_once(self) -> "AnswerIn":
        if self.obstacle is not None and (self.answer is not Answer.BLOCK or self.reason is not None):
            raise ValueError("obstacle: goes with `block`, in place of `reason`")
        return self


class AnswerTaken(BaseModel):
    """What became of it: ``repeated`` tells that it was accepted before. Tracking decides it under ``event_id``."""

    assignment_id: UUID
    incident_id: UUID
    event_id: UUID
    repeated: bool


def add_answers(app: FastAPI, world: World) -> Acceptance:
    """Add the route to a namespace's app; drain what is returned before the broker is stopped."""
    accepting = Acceptance(world.pool, world.outbox, world.clock, world.namespace, SOURCE)
    repeated: dict[int | str, dict[str, Any]] = {
        200: {"model": AnswerTaken, "description": "It was accepted before; this is the answer given then."}
    }
    problems = documented(
        _S.BAD_REQUEST,
        _S.UNAUTHORIZED,
        _S.FORBIDDEN,
        _S.NOT_FOUND,
        _S.CONFLICT,
        _S.REQUEST_ENTITY_TOO_LARGE,
        _S.UNSUPPORTED_MEDIA_TYPE,
        _S.UNPROCESSABLE_ENTITY,
    )

    @app.post("/v1/assignments/{assignment_id}/answers", status_code=202, response_model=AnswerTaken,
              responses=repeated | problems, openapi_extra=json_body(AnswerIn, key=True),
              operation_id="answer_assignment")  # fmt: skip
    async def answer(
        assignment_id: Id, request: Request, caller: Annotated[Principal, allow(Role.DEPARTMENT)]
    ) -> Response:
        """Answer an order, as a member of its department."""
        content_type, body = await read_body(request, JSON)
        origin = f"http:/v1/assignments/{assignment_id}/answers"
        asked = acceptance.Request(origin, read_key(request), content_type, body)
        row = await world.pool.fetchrow(statement("order"), assignment_id, statuses(world.namespace))
        if row is None:
            raise unknown_order(assignment_id, world)
        if not caller.may_act_for(row["department"]):
            raise ProblemError(
                _S.FORBIDDEN,
                f"assignment {assignment_id}: is {row['department']}'s, not yours to answer",
                kind="not-yours",
            )
        try:
            known = await accepting.given_before(asked)
            if known is None:
                told = _read(row, read_object(body), caller, world)
                await _foresee(world, told)
                topic = topic_name(ACKNOWLEDGEMENTS, world.namespace, told.department)
                known = await accepting.take(told, topic, asked)
        except ConflictError as error:
            raise ProblemError(_S.CONFLICT, str(error), kind="conflict") from None
        except MalformedError as error:
            raise ProblemError(_S.BAD_REQUEST, str(error), kind="malformed") from None
        except InvalidError as error:
            raise ProblemError(_S.UNPROCESSABLE_ENTITY, str(error), kind="invalid") from None
        return _taken(assignment_id, known)

    return accepting


def _read(row: asyncpg.Record, found: Mapping[str, Any], caller: Principal, world: World) -> Acknowledgement:
    try:
        said = AnswerIn.model_validate(found)
        now = world.clock.now()
        return Acknowledgement(
            assignment_id=row["id"],
            incident_id=row["incident_id"],
            status=row["status"],
            department=row["department"],
            answer=said.answer,
            answered_at=now if said.occurred_at is None else min(said.occurred_at, now),
            by=caller.name,
            note=said.note,
            reason=said.reason or said.obstacle,
            read_back=said.read_back,
            delegate_to=said.to,
        )
    except ValidationError as error:
        raise InvalidError(explain(error).replace("delegate_to: name", "to: name")) from None


async def _foresee(world: World, told: Acknowledgement) -> None:
    """Ask the engine, as tracking will, after what is still on its way there; raises `ProblemError` for a refusal."""
    async with (
        world.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        incident = (await load(connection, [told.incident_id])).get(told.incident_id)
        waiting = await connection.fetch(statement("waiting_answers"), told.incident_id)
    digests = {activation.digest for activation in incident.activations.values()} if incident else set()
    playbook = await world.playbook.current(digests)
    now = world.clock.now()
    for row in waiting:
        said = ADAPTERS[ACKNOWLEDGEMENT].validate_json(row["value"])
        incident = decide(incident, Answered(row["event_id"], said), now, playbook).incident
    decision = decide(incident, Answered(uuid7(), told), now, playbook)
    if decision.outcome in _TURNED_DOWN:
        raise ProblemError(_S.CONFLICT, f"{told.answer.value} refused: {decision.reason}", kind="refused")


def _taken(assignment_id: UUID, accepted: Accepted) -> Response:
    taken = AnswerTaken(
        assignment_id=assignment_id,
        incident_id=accepted.incident_id,
        event_id=accepted.event_id,
        repeated=accepted.repeated,
    )
    location = {"Location": f"/v1/assignments/{assignment_id}"}
    return JSONResponse(taken.model_dump(mode="json"), 200 if accepted.repeated else 202, location)
