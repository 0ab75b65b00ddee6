"""Access's own SQL: each statement in a file of its own, named in its first line with what it is for."""

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"


@cache
def statement(name: str) -> str:
    """Read the statement of this name; raises FileNotFoundError for one that isn't there."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
