"""A duty officer's decision as it comes in: what it is about and when it was taken are filled in."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from schemas.command import Command, CommandAdapter
from schemas.envelope import explain
from services.platform.acceptance import InvalidError

FILLED_IN = ("incident_id", "decided_at")
"""Fields that the path and the clock give, never the body."""
OVERWRITTEN = "by"
"""The field that the server knows better than the body: who decides is who asks."""


def read_command(found: dict[str, Any], incident_id: UUID, by: str, now: datetime) -> Command:
    """Make the command from the body's fields, whoever they say it is by; raises `InvalidError` in one line."""
    for name in FILLED_IN:
        if name in found:
            raise InvalidError(f"{name}: is not given in the body; the path and the clock say it")
    try:
        command = CommandAdapter.validate_python(
            {**found, "incident_id": incident_id, OVERWRITTEN: by, "decided_at": now}
        )
    except ValidationError as error:
        raise InvalidError(explain(error)) from None
    if command.model_extra:
        raise InvalidError(f"{next(iter(command.model_extra))}: is no field of the command {command.action}")
    return command
