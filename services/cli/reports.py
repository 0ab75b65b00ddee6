"""Reading an incident report from a file: a CAP alert or Muster's own JSON."""

from datetime import datetime
from pathlib import Path

from pydantic import ValidationError
from uuid_utils.compat import uuid7

from schemas.envelope import explain
from schemas.incident import IncidentReport
from services.cli.output import fail
from services.intake.cap import parse_cap
from services.intake.cap_error import CapError
from services.platform.strict_json import MalformedError, read_object

CAP_SUFFIXES = frozenset({".cap", ".xml"})
MAX_BYTES = 1_000_000


def read_bytes(path: Path) -> bytes:
    """Read a file, or end with one line."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        fail(f"{path}: {error.strerror or error}")
    if len(data) > MAX_BYTES:
        fail(f"{path}: has more than {MAX_BYTES} bytes; report less, and link to the rest")
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
        fields = read_object(data)
        fresh = {"incident_id": uuid7(), "reported_at": now, "reported_by": "explain", "message_type": "Alert"}
        return IncidentReport.model_validate(fresh | fields)
    except ValidationError as error:
        fail(f"{path}: {explain(error)}")
    except MalformedError as error:
        fail(f"{path}: {error}")
