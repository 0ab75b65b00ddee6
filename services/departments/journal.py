"""What a department remembers: its orders, and every answer before it is sent. A SQLite file, or memory only.

The file outlives ``kill -9`` and power loss (WAL, ``synchronous=FULL``). Several processes may have it open, such as
a listener and a command; only one of them may hold it to work on its orders.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from schemas.acknowledgement import Acknowledgement
from schemas.assignment import Assignment
from schemas.vocabulary import AssignmentState, Namespace
from services.departments.standing import standing
from services.platform.errors import ConfigurationError

KEEP_ENDED_FOR = timedelta(days=30)
"""How long an ended order is remembered; longer than the broker keeps its messages."""
BUSY_SECONDS = 5.0
"""How long to wait for another process that is writing."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (department TEXT NOT NULL, namespace TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    assignment_id TEXT PRIMARY KEY,
    message TEXT NOT NULL,
    is_copy INTEGER NOT NULL,
    state TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    handled INTEGER NOT NULL DEFAULT 0,
    updated_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    seq INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    assignment_id TEXT NOT NULL,
    value BLOB NOT NULL,
    confirmed INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    turn INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX IF NOT EXISTS answers_by_assignment ON answers (assignment_id, seq);
CREATE INDEX IF NOT EXISTS answers_waiting ON answers (assignment_id, seq) WHERE confirmed = 0;
"""

_WAITING = """
SELECT event_id, value, confirmed, refused, turn FROM answers WHERE seq IN (
    SELECT min(seq) FROM answers WHERE confirmed = 0 GROUP BY assignment_id
) ORDER BY seq LIMIT ?
"""

_PRUNE = """
DELETE FROM orders WHERE updated_at < ? AND (is_open = 0 OR is_copy = 1)
    AND NOT EXISTS (SELECT 1 FROM answers AS a WHERE a.assignment_id = orders.assignment_id AND a.confirmed = 0)
"""


@dataclass(frozen=True, slots=True)
class Known:
    """An order as the department knows it: Muster's last word, where it stands, and whether the handler is done."""

    message: Assignment
    is_copy: bool
    state: AssignmentState
    handled: bool


@dataclass(frozen=True, slots=True)
class Said:
    """An answer on record. ``refused``: Muster has turned it down, so it doesn't count and isn't sent again.

    ``turn`` counts how often the answer was to be sent.
    """

    event_id: UUID
    message: Acknowledgement
    value: bytes
    confirmed: bool
    refused: bool
    turn: int


class Journal:
    """One department's journal in one namespace. Open it before use; one thread only."""

    def __init__(self, path: Path | None, department: str, namespace: Namespace) -> None:
        self._path = path
        self._department = department
        self._namespace = namespace
        self._db: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open or make the file; raises `ConfigurationError` when it is another's or no journal. Safe to repeat."""
        if self._db is not None:
            return
        if self._path is not None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        db = sqlite3.connect(self._path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(_SCHEMA)
            self._db = db
            self._check_owner(db)
        except (sqlite3.Error, ConfigurationError) as error:
            self._db = None
            db.close()
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(f"journal {self._path}: {error}; name another file") from error

    def _check_owner(self, db: sqlite3.Connection) -> None:
        with self.transaction():
            owner = db.execute("SELECT department, namespace FROM journal").fetchone()
            if owner is None:
                db.execute("INSERT INTO journal VALUES (?, ?)", (self._department, self._namespace.value))
            elif owner != (self._department, self._namespace.value):
                raise ConfigurationError(
                    f"journal {self._path}: belongs to {owner[0]} in the {owner[1]} namespace,"
                    f" not to {self._department} in {self._namespace}; name another file"
                )

    def close(self) -> None:
        """Close the file; safe to repeat."""
        if self._db is not None:
            self._db.close()
            self._db = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the journal to work on its orders; raises `ConfigurationError` while another process does.

        The kernel lets go when the holder dies, however it dies.
        """
        if self._path is None:
            yield
            return
        fd = os.open(self._path.with_name(self._path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConfigurationError(
                    f"journal {self._path}: another listener works with it; stop that one or name another file"
                ) from None
            yield
        finally:
            os.close(fd)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything in the block durable together, or nothing of it."""
        self._run("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._run("ROLLBACK")
            raise
        self._run("COMMIT")

    def order(self, assignment_id: UUID) -> Known | None:
        """Look up one order."""
        found = self._orders("WHERE assignment_id = ?", str(assignment_id))
        return found[0] if found else None

    def orders(self) -> list[Known]:
        """List all orders, oldest first."""
        return self._orders("ORDER BY assignment_id")

    def unhandled(self) -> list[Known]:
        """List the open orders that no handler has finished with, oldest first."""
        return self._orders("WHERE is_open = 1 AND handled = 0 AND is_copy = 0 ORDER BY assignment_id")

    def put(self, message: Assignment, at: datetime) -> None:
        """Keep Muster's latest word about an order."""
        is_copy = message.department != self._department
        state = self._standing(message)
        self._run(
            "INSERT INTO orders (assignment_id, message, is_copy, state, is_open, updated_at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (assignment_id) DO UPDATE SET message = excluded.message, state = excluded.state,"
            " is_open = excluded.is_open, updated_at = excluded.updated_at",
            str(message.assignment_id),
            message.model_dump_json(exclude_none=True),
            is_copy,
            state.value,
            state.is_open,
            at.timestamp(),
        )

    def finish(self, assignment_id: UUID) -> None:
        """Remember that the handler is done with an order."""
        self._run("UPDATE orders SET handled = 1 WHERE assignment_id = ?", str(assignment_id))

    def say(self, event_id: UUID, message: Acknowledgement, value: bytes) -> None:
        """Keep an answer, to be sent from here."""
        self._run(
            "INSERT INTO answers (event_id, assignment_id, value) VALUES (?, ?, ?)",
            str(event_id),
            str(message.assignment_id),
            value,
        )
        for (before,) in self._run("SELECT state FROM orders WHERE assignment_id = ?", str(message.assignment_id)):
            state = standing(AssignmentState(before), (message.answer,))
            self._run(
                "UPDATE orders SET state = ?, is_open = ?, updated_at = ? WHERE assignment_id = ?",
                state.value,
                state.is_open,
                message.answered_at.timestamp(),
                str(message.assignment_id),
            )

    def said(self, assignment_id: UUID) -> list[Said]:
        """List the answers about an order, in the order they were given."""
        return self._answers(
            "SELECT event_id, value, confirmed, refused, turn FROM answers WHERE assignment_id = ? ORDER BY seq",
            str(assignment_id),
        )

    def refuse(self, event_id: UUID) -> None:
        """Remember that Muster turned an answer down: it was heard, and doesn't count."""
        self._run("UPDATE answers SET refused = 1, confirmed = 1 WHERE event_id = ?", str(event_id))

    def say_again(self, assignment_id: UUID) -> None:
        """Have every answer about an order sent again, except refused ones."""
        self._run(
            "UPDATE answers SET confirmed = 0, turn = turn + 1 WHERE assignment_id = ? AND refused = 0",
            str(assignment_id),
        )

    def waiting(self, at_most: int) -> list[Said]:
        """List what is to be sent next: of each order only the oldest answer the broker hasn't confirmed."""
        return self._answers(_WAITING, at_most)

    def confirm(self, answers: Iterable[Said]) -> None:
        """Remember that the broker has these answers, except those that were to be sent again meanwhile."""
        with self.transaction():
            for said in answers:
                sql = "UPDATE answers SET confirmed = 1 WHERE event_id = ? AND turn = ?"
                self._run(sql, str(said.event_id), said.turn)

    def prune(self, now: datetime) -> int:
        """Forget orders that ended over `KEEP_ENDED_FOR` ago, once nothing of them waits; return how many."""
        with self.transaction():
            pruned = self._run(_PRUNE, (now - KEEP_ENDED_FOR).timestamp()).rowcount
            self._run("DELETE FROM answers WHERE assignment_id NOT IN (SELECT assignment_id FROM orders)")
        return pruned

    def _standing(self, message: Assignment) -> AssignmentState:
        said = (each.message.answer for each in self.said(message.assignment_id) if not each.refused)
        return standing(message.state, said)

    def _run(self, sql: str, *values: object) -> sqlite3.Cursor:
        if self._db is None:
            raise ConfigurationError(f"journal of {self._department}: is not open; run the department first")
        return self._db.execute(sql, values)

    def _orders(self, clause: str, *values: object) -> list[Known]:
        rows = self._run(f"SELECT message, is_copy, state, handled FROM orders {clause}", *values)  # noqa: S608 (ours)
        return [
            Known(Assignment.model_validate_json(message), bool(is_copy), AssignmentState(state), bool(handled))
            for message, is_copy, state, handled in rows
        ]

    def _answers(self, sql: str, *values: object) -> list[Said]:
        return [
            Said(
                UUID(event_id), Acknowledgement.model_validate_json(value), value, bool(confirmed), bool(refused), turn
            )
            for event_id, value, confirmed, refused, turn in self._run(sql, *values)
        ]
