"""A mistake in a planner's file, as a value: where it is, what it is, and what to write instead."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

NodePath = tuple[str | int, ...]
"""The way to a value in a document: keys and positions, as in ``("tasks", 2, "title")``."""

_LONGEST, _LONGEST_PATH = 500, 200
"""Characters of what is wrong, and of where, that one line shows."""
_LONGEST_WORD, _MOST_KNOWN = 100, 500
"""Characters of a word, and how many known words, for which the nearest one is looked for."""
MAX_CHOICES = 12
"""How many permitted words a mend lists before it stops being readable."""


class Gravity(StrEnum):
    """Whether a problem keeps a file from being used."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. ``line`` counts from 1 (0: not known); ``mend`` says what to write, and may be empty."""

    file: str
    line: int
    path: str
    message: str
    mend: str = ""
    severity: Gravity = Gravity.ERROR

    def __str__(self) -> str:
        """Say it in one line: ``file:line: path: message; mend``, with ``warning:`` in front of a warning's path."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        warning = "warning" if self.severity is Gravity.WARNING else ""
        said = "; ".join(_plain(part, _LONGEST) for part in (self.message, self.mend) if part)
        return ": ".join(
            part for part in (_plain(place, _LONGEST), warning, _plain(self.path, _LONGEST_PATH), said) if part
        )


def _plain(text: str, longest: int) -> str:
    """Keep a planner's own words on one line, of bounded length, and from steering the terminal they are shown on."""
    line = " ".join(text[: 4 * longest].split())
    shown = line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


class PlaybookError(Exception):
    """A file can't be used; ``problems`` holds every mistake found in it, in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def dotted(path: NodePath) -> str:
    """Write a path the way planners read it: ``tasks[2].deadlines.acknowledge``."""
    written = ""
    for step in path:
        if isinstance(step, int):
            written += f"[{step}]"
        else:
            written += f".{step}" if written else step
    return written


def did_you_mean(word: str, known: Sequence[str], otherwise: str = "write one of") -> str:
    """Suggest the known word nearest to a mistyped one, letter case aside, or list what there is."""
    if len(word) <= _LONGEST_WORD and len(known) <= _MOST_KNOWN:
        by_folded = {candidate.casefold(): candidate for candidate in known}
        near = get_close_matches(word.casefold(), list(by_folded), n=1)
        if near:
            return f'did you mean "{by_folded[near[0]]}"?'
    if not known:
        return ""
    return f"{otherwise}: {', '.join(known)}" if len(known) <= MAX_CHOICES else ""
