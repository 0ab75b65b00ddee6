"""What the people outside saw and did, as they saw it: the only thing, beside the record at the end, that is judged.

Nothing here comes from the services under test. Reports are written down by who reports, orders by who receives them
off the wire, answers by who sends them, the timeline by a reader of its own. Times are seconds since the history began,
by the harness's own monotonic clock.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from json import dumps
from pathlib import Path
from time import monotonic


@dataclass(frozen=True, slots=True)
class ReportSent:
    """Somebody reports an incident; ``key`` makes their tries one. What comes of it is not known yet."""

    at: float
    key: str


@dataclass(frozen=True, slots=True)
class ReportTaken:
    """Muster has said that it has the report: from here on it may not be lost."""

    at: float
    key: str
    event: str
    incident: str


@dataclass(frozen=True, slots=True)
class ReportRefused:
    """Muster answered a sound report with an error that doesn't say "try again"; the reporter tries all the same."""

    at: float
    key: str
    status: int


@dataclass(frozen=True, slots=True)
class OrderRead:
    """A department read a message about an assignment off its topic; the same event may come again."""

    at: float
    department: str
    event: str
    assignment: str
    incident: str
    task: str
    notice: str
    revision: int


@dataclass(frozen=True, slots=True)
class AnswerSent:
    """A department hands an answer to the broker. Whether it arrived is not known yet."""

    at: float
    department: str
    event: str
    assignment: str
    incident: str
    answer: str


@dataclass(frozen=True, slots=True)
class AnswerTaken:
    """The broker has confirmed an answer: from here on it may not be lost."""

    at: float
    event: str


@dataclass(frozen=True, slots=True)
class EntryRead:
    """A reader of the timeline's topic came upon an entry; the same one may come again."""

    at: float
    entry_id: str
    incident: str
    entry: str
    assignment: str | None


Op = ReportSent | ReportTaken | ReportRefused | OrderRead | AnswerSent | AnswerTaken | EntryRead


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision on record about one event."""

    event: str
    incident: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Held:
    """An assignment on record."""

    assignment: str
    incident: str
    task: str
    department: str
    state: str


@dataclass(frozen=True, slots=True)
class Entered:
    """An entry of the timeline on record, as the console would list them."""

    entry_id: str
    incident: str
    entry: str
    assignment: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """What is on record once all has come to rest; ``entries`` in the order in which people are shown them."""

    decisions: tuple[Decided, ...] = ()
    assignments: tuple[Held, ...] = ()
    entries: tuple[Entered, ...] = ()


@dataclass(slots=True)
class History:
    """Everything that was seen, in the order in which it was."""

    ops: list[Op] = field(default_factory=list)
    begun: float = field(default_factory=monotonic)

    def now(self) -> float:
        """Tell the seconds since the beginning."""
        return monotonic() - self.begun

    def add(self, op: Op) -> None:
        """Write one thing down."""
        self.ops.append(op)

    def put(self, op: Op) -> None:
        """Write one thing down where it belongs, which is learned of later."""
        insort(self.ops, op, key=lambda each: each.at)

    def since(self, mark: int) -> list[Op]:
        """List what was seen from a place on."""
        return self.ops[mark:]


def save(ops: Sequence[Op], record: Record, path: Path) -> None:
    """Leave a history and its record as lines of JSON, for people to look into."""
    with path.open("w") as file:
        for each in (*ops, *record.decisions, *record.assignments, *record.entries):
            file.write(dumps({"what": type(each).__name__, **asdict(each)}) + "\n")
