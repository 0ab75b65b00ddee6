"""What the console's API is given of the process it runs in: one namespace's connections and knowledge."""

from functools import cache
from pathlib import Path
from typing import Protocol

from schemas.vocabulary import Namespace
from services.platform.acceptance import Publisher
from services.platform.clock import Clock
from services.platform.postgres import Pool
from services.platform.published import PublishedPlaybook

_FOLDER = Path(__file__).parent / "sql"


class World(Protocol):
    """One namespace; `services.platform.runtime.Runtime` is one."""

    @property
    def namespace(self) -> Namespace:
        """Which of the two worlds it is."""

    @property
    def pool(self) -> Pool:
        """Connections that are held to the namespace."""

    @property
    def outbox(self) -> Publisher:
        """The way out to the broker."""

    @property
    def clock(self) -> Clock:
        """The clock that the namespace's record goes by."""

    @property
    def playbook(self) -> PublishedPlaybook:
        """The plans and the directory in force."""


@cache
def statement(name: str) -> str:
    """Read one of the console's SQL statements."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")
