"""What a client is told when something is wrong: RFC 9457 problem documents."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """A problem document (RFC 9457, 3.1). ``dead_letter`` names the copy of the message that was kept, if one was."""

    type: str = Field(description="What kind of problem this is; about:blank where the status says it all.")
    title: str
    status: int
    detail: str = Field(description="What is wrong with this request, and what to do.")
    instance: str = Field(description="The path that was asked for.")
    dead_letter: UUID | None = None


class ProblemError(Exception):
    """Stops a request with a problem document; ``kind`` makes its type, ``urn:muster:problem:<kind>``."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
        dead_letter: UUID | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = dict(headers or {})
        self.dead_letter = dead_letter


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe the problems an operation may answer with, for OpenAPI."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        int(status): {"description": status.phrase, "content": {MEDIA_TYPE: schema}}
        for status in (*statuses, HTTPStatus.SERVICE_UNAVAILABLE)
    }
