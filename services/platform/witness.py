"""The record held against what others kept of its chains: whoever rewrote a chain and its head is found by these."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError

from services.platform.errors import RefusedError
from services.platform.invariants import EXAMPLES, Finding
from services.platform.postgres import Pool
from services.platform.queries import query

WITNESSED = "every entry that others have kept is on record as they have it"
_AT_ONCE = 5_000


class Kept(BaseModel):
    """What a witness keeps of an entry: its place in its incident's chain, and its hash in hexadecimal digits.

    A message of the ``timeline`` topic says that beside all else.
    """

    incident_id: UUID
    number: Annotated[int, Field(ge=1)]
    hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


async def check_witnessed(pool: Pool, path: Path) -> Finding:
    """Look up each line of a file, a `Kept` in JSON; one whose record retention has given up isn't wrong.

    Raises `RefusedError`, with the line, for a file that can't be read.
    """
    looked_at, wrong = 0, list[str]()
    lines = _read(path)
    while kept := list(islice(lines, _AT_ONCE)):
        looked_at += len(kept)
        found = await pool.fetch(
            query("invariants/entry_as_kept"),
            [each.incident_id for each in kept],
            [each.number for each in kept],
            [bytes.fromhex(each.hash) for each in kept],
        )
        wrong += [f"incident {row['incident_id']}, entry {row['number']}: {row['wrong']}" for row in found]
    return Finding(WITNESSED, looked_at, len(wrong), tuple(wrong[:EXAMPLES]))


def _read(path: Path) -> Iterator[Kept]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _kept(line, f"{path}:{number}")
    except OSError as error:
        raise RefusedError(f"{path}: {error.strerror or error}") from None


def _kept(line: bytes, where: str) -> Kept:
    try:
        return Kept.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "line"
        raise RefusedError(f"{where}: {field}: {first['msg']}; give a JSON document a line") from None
