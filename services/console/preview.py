"""What would happen if this were reported: the plans that would answer, and who would be told what by when."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Protocol

from fastapi import FastAPI, Request
from pydantic import BaseModel, ValidationError
from uuid_utils.compat import uuid7

from schemas.base import Text
from schemas.envelope import explain
from schemas.incident import IncidentReport
from schemas.vocabulary import MessageType, Namespace, Role
from services.console.world import World
from services.domain.matching import Answers
from services.domain.plan import Call, Level, Match, Plan, Task
from services.platform.access.guard import allow
from services.platform.access.principal import Principal
from services.platform.body import JSON, XML, read_body
from services.platform.errors import MusterError, UnpublishedError
from services.platform.problem import ProblemError, documented
from services.platform.report_in import ReportIn
from services.platform.strict_json import MalformedError, read_object
from services.playbooks.explain import Explanation
from services.playbooks.explain import explain as explain_report

_S = HTTPStatus
_PARAMETER = re.compile(r"\bparameters\.(\w+)")


class ReadCap(Protocol):
    """Intake's reader of CAP alerts, `services.intake.cap.parse_cap`."""

    def __call__(self, data: bytes, *, reported_at: datetime) -> ReportIn:
        """Read one alert; raises `MusterError` in one line for one that can't be taken."""


class Preview(BaseModel):
    """The report as it would be taken in, and every published plan's answer, those that would answer first.

    ``plans`` is what `muster plan explain` says. ``departments`` gives the titles of those that would be told.
    ``asks`` names the parameters that the answering plans decide by, so that a reporter can be asked for them.
    """

    incident: IncidentReport
    plans: list[Explanation]
    departments: dict[str, Text]
    asks: list[str]


def add_preview(app: FastAPI, world: World, read_cap: ReadCap) -> None:
    """Add the route to a namespace's app; ``read_cap`` is intake's `parse_cap`."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ReportIn"}}} | {
        media_type: {"schema": {"type": "string", "description": "One CAP alert."}} for media_type in XML
    }

    @app.post("/v1/incidents/preview", operation_id="preview_incident",
              openapi_extra={"requestBody": {"required": True, "content": content}},
              responses=documented(_S.BAD_REQUEST, _S.UNAUTHORIZED, _S.FORBIDDEN, _S.REQUEST_ENTITY_TOO_LARGE,
                                   _S.UNSUPPORTED_MEDIA_TYPE, _S.UNPROCESSABLE_ENTITY))  # fmt: skip
    async def preview(request: Request, _: Annotated[Principal, allow(Role.DUTY_OFFICER, Role.PLANNER)]) -> Preview:
        """Say what reporting this would lead to, and store and send nothing.

        Takes what `POST /v1/incidents` and `POST /v1/cap` take, and refuses what they would refuse.
        """
        content_type, body = await read_body(request, JSON + XML)
        now = world.clock.now()
        try:
            said = (
                _from_json(body)
                if content_type.partition(";")[0].strip().lower() in JSON
                else read_cap(body, reported_at=now)
            )
            report = _report(said, world.namespace, now)
        except MalformedError as error:
            raise ProblemError(_S.BAD_REQUEST, str(error), kind="malformed") from None
        except ValidationError as error:
            raise ProblemError(_S.UNPROCESSABLE_ENTITY, explain(error), kind="invalid") from None
        except (MusterError, ValueError) as error:
            raise ProblemError(_S.UNPROCESSABLE_ENTITY, str(error), kind="invalid") from None
        try:
            playbook = await world.playbook.current()
        except UnpublishedError as error:
            raise ProblemError(_S.SERVICE_UNAVAILABLE, str(error), kind="unpublished") from None
        plans = explain_report(report, playbook, now)
        named = {name for plan in plans for told in plan.told for name in (told.department, *told.then)}
        known = playbook.directory.departments
        return Preview(
            incident=report,
            plans=plans,
            departments={name: known[name].title for name in sorted(named) if name in known},
            asks=_asks(playbook.published.by_id[plan.plan] for plan in plans if plan.answers is not Answers.NO),
        )


def _asks(plans: Iterable[Plan]) -> list[str]:
    """Count in how many conditions each parameter is read; the one that decides most comes first."""
    read: Counter[str] = Counter()
    for plan in plans:
        holders: list[Match | Level | Task | Call] = [plan.match, *plan.levels, *plan.tasks.values(), *plan.calls]
        for condition in (holder.when for holder in holders if holder.when is not None):
            read.update(set(_PARAMETER.findall(condition.source)))
    return [name for name, _ in sorted(read.items(), key=lambda item: (-item[1], item[0]))]


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() in JSON


def _from_json(body: bytes) -> ReportIn:
    return ReportIn.model_validate(read_object(body))


def _report(said: ReportIn, namespace: Namespace, now: datetime) -> IncidentReport:
    if said.message_type is not MessageType.ALERT:
        raise ValueError(f"message_type: only a first report has a preview, an {said.message_type} changes a response")
    if Namespace.of(said.status) is not namespace:
        raise ValueError(f"status: {said.status} does not belong to the {namespace.value} namespace")
    return said.report(said.incident_id or uuid7(), now)
