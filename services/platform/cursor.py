"""Where one page of a list ended, as an opaque word that the next request brings back."""

import base64
import json
from http import HTTPStatus

from services.platform.problem import ProblemError


def write_cursor(*parts: str) -> str:
    """Write the place as one word that is safe in a URL."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def read_cursor(cursor: str, length: int) -> list[str]:
    """Read a place back; raises `ProblemError` (422) for what `write_cursor` didn't write with so many parts."""
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not (isinstance(found, list) and len(found) == length and all(isinstance(part, str) for part in found)):
            raise ValueError("not a place in a list")
    except ValueError:
        raise bad_cursor() from None
    return found


def bad_cursor() -> ProblemError:
    """Refuse a cursor that no list gave."""
    detail = "cursor: send the `next` of the page before as it was given, or none for the first page"
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, kind="invalid-request")
