"""The department directory as the engine sees it: who exists, and whose superior is whom."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.base import Text


@dataclass(frozen=True, slots=True)
class Post:
    """A post with its phone; ``department`` when it belongs to another department of the directory."""

    name: Text
    phone: str
    department: str | None = None


@dataclass(frozen=True, slots=True)
class Department:
    """A department and whom to reach there, in order."""

    id: str
    title: Text
    liaison: Post
    deputy: Post
    superior: Post
    duty_phone: str


@dataclass(frozen=True, slots=True)
class Directory:
    """All departments by id. ``duty_officer`` is the department whose officer decides."""

    duty_officer: str
    departments: Mapping[str, Department]
    digest: str = ""
