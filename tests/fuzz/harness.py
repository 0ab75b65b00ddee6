"""What fuzzing shares: an entry and its inputs, what may come of one, and a watch that outlives a crash.

An entry's target takes the very bytes that came in and gives None where they were accepted, or the refusal that the
sender reads. Whatever it raises is a crash.
"""

import mmap
import struct
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Target = Callable[[bytes], str | None]

LONGEST_REFUSAL = 2_000
"""Characters of the one line that explains a refusal."""
HANGS_AFTER = 2.0
"""Seconds of processor time for one input; the machine's other work doesn't count."""
STUCK_AFTER = 30.0
"""Seconds by the wall after which the process that holds an input is ended from outside."""
_HEAD = struct.Struct("=QdQ")


class UnexplainedError(AssertionError):
    """A refusal that its sender can't act on."""


class LostError(AssertionError):
    """Bytes that were neither accepted nor kept with a reason."""


@dataclass(frozen=True)
class Entry:
    """One way in. ``opened`` readies it and gives its target; ``seeds`` are inputs to begin from.

    ``shaped`` makes inputs of the entry's own shape, for hypothesis. ``shares`` weigh how many
    of all inputs atheris and hypothesis give. ``words`` are what the entry's grammar knows, for atheris to put in.
    """

    name: str
    opened: Callable[[], AbstractContextManager[Target]]
    seeds: Callable[[], Sequence[bytes]]
    shaped: Callable[[], st.SearchStrategy[bytes]]
    shares: tuple[int, int]
    words: Sequence[str] = ()
    longest: int = 1 << 16


def explained(reason: str) -> str:
    """Give a refusal back when it is one line that says where and what; raises `UnexplainedError` when it isn't."""
    if len(reason) > LONGEST_REFUSAL:
        raise UnexplainedError(f"has {len(reason)} characters: {reason[:200]!r}")
    if not reason.isprintable():
        raise UnexplainedError(f"is not one printable line: {reason[:300]!r}")
    if ": " not in reason or any(inside in reason for inside in ("Traceback", "object at 0x", "<class ")):
        raise UnexplainedError(f"says not where or shows our inside: {reason[:300]!r}")
    return reason


class Watch:
    """Keeps the input in hand where another process reads it, also after this one has died."""

    def __init__(self, path: Path, size: int) -> None:
        if not path.exists():
            path.write_bytes(bytes(_HEAD.size + size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def begin(self, number: int, data: bytes) -> None:
        """Note which input is in hand from now on."""
        kept = data[: len(self._map) - _HEAD.size]
        self._map[_HEAD.size : _HEAD.size + len(kept)] = kept
        _HEAD.pack_into(self._map, 0, number, time.monotonic(), len(kept))

    def read(self) -> tuple[int, float, bytes]:
        """Give the number of the input in hand, since when by the monotonic clock, and its bytes."""
        number, since, length = _HEAD.unpack_from(self._map, 0)
        return number, since, bytes(self._map[_HEAD.size : _HEAD.size + length])


@dataclass
class Tally:
    """Counts what comes of inputs. ``crashes`` has one of each kind, with the first input that did it."""

    target: Target
    watch: Watch | None = None
    first: int = 0
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    slowest_input: bytes = b""
    crashes: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)

    def __call__(self, data: bytes) -> None:
        """Give one input to the target."""
        self.inputs += 1
        if self.watch is not None:
            self.watch.begin(self.first + self.inputs, data)
        began = time.process_time()
        try:
            reason = self.target(data)
            if reason is None:
                self.accepted += 1
            else:
                self.refused += 1
                self.reasons[_kind(explained(reason))] += 1
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what fuzzing looks for
            self._crashed(error, data)
        took = time.process_time() - began
        if took > self.slowest:
            self.slowest, self.slowest_input = took, data
        if took > HANGS_AFTER:
            self.crashes.setdefault("hang", (f"took {took:.1f} s of processor time", data))

    def _crashed(self, error: BaseException, data: bytes) -> None:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/tests/fuzz/" not in frame.filename]
        own = [frame for frame in frames if "/services/" in frame.filename or "/schemas/" in frame.filename]
        at = (own or frames)[-1] if frames else None
        place = f"{Path(at.filename).name}:{at.lineno}" if at else _kind(str(error))[:80]
        said = "".join(traceback.format_exception(error))[-3_000:]
        self.crashes.setdefault(f"{type(error).__name__} at {place}", (said, data))

    def told(self) -> dict[str, Any]:
        """Give the counts as JSON, without inputs."""
        return {
            "inputs": self.inputs,
            "accepted": self.accepted,
            "refused": self.refused,
            "slowest_ms": round(self.slowest * 1_000, 1),
            "kinds_of_refusal": len(self.reasons),
            "crashes": {kind: said for kind, (said, _) in self.crashes.items()},
        }


def _kind(reason: str) -> str:
    """Fold a refusal to its kind: without the sender's own words and numbers."""
    quoted = reason.split("'")[0].split('"')[0]
    return "".join("0" if char.isdigit() else char for char in quoted)[:120]
