"""Reading an incident report from a file: a CAP alert or Muster's own JSON."""

import json
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from uuid_utils.compat import uuid7

from schemas.envelope import explain
from schemas.incident import IncidentReport
from services.cli.output import fail
from services.intake.cap import parse_cap
from services.intake.cap_error import CapError

CAP_SUFFIXES = frozenset({".cap", ".xml"})
MAX_BYTES = 1_000_000


def read_bytes(path: Path) -> bytes:
    """Read a file, or end with one line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        fail(f"{path}: {error.strerror or error}")
    if len(data) > MAX_BYTES:
        fail(f"{path}: has {len(data)} bytes, at most {MAX_BYTES} are read")
    return data


def read_report(path: Path, now: datetime) -> IncidentReport:
    """Read a report as it would be taken in now, with a fresh incident id; ends with one line for a faulty file."""
    data = read_bytes(path)
    if path.suffix in CAP_SUFFIXES:
        try:
            return parse_cap(data, reported_at=now).report(uuid7(), now)
        except CapError as error:
            fail(f"{path}: {error}")
    try:
        fields = json.loads(data)
        if not isinstance(fields, dict):
            fail(f"{path}: write one JSON object")
        fresh = {"incident_id": uuid7(), "reported_at": now, "reported_by": "explain", "message_type": "Alert"}
        return IncidentReport.model_validate(fresh | fields)
    except ValidationError as error:
        fail(f"{path}: {explain(error)}")
    except ValueError as error:
        fail(f"{path}: is not JSON: {error}")
