"""A plan's tasks drawn as a graph: what comes after what from left to right, each with how far its orders have come."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

WIDTH, HEIGHT = 192, 68
"""Size of a task's box, in the drawing's units."""
GAP_X, GAP_Y = 34, 14
MARGIN = 4
LINE = 26
"""Latin letters on a line of a box; a Chinese character takes the room of two."""
LINES = 2
COLUMNS = 4
"""Least columns in which tasks that hang on nothing are laid out."""


class Drawn(Protocol):
    """A task to be drawn."""

    @property
    def id(self) -> str:
        """The task's id."""

    @property
    def after(self) -> Sequence[str]:
        """The tasks that must be complete first."""


@dataclass(frozen=True, slots=True)
class Node:
    """A task's box: where its upper left corner is, and its title in lines."""

    task: Drawn
    x: int
    y: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """A curve from one box to one that comes after it; ``path`` is SVG's."""

    before: str
    after: str
    path: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A drawing of so many units."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def draw(tasks: Sequence[Drawn], titles: Mapping[str, str]) -> Graph | None:
    """Lay tasks out; None where nothing hangs on anything, so that there is nothing to see."""
    known = {task.id: task for task in tasks}
    after = {task.id: [name for name in task.after if name in known] for task in tasks}
    tied = {name for names in after.values() for name in names} | {name for name, names in after.items() if names}
    if not tied:
        return None
    columns = _columns([name for name in known if name in tied], after)
    alone = [name for name in known if name not in tied]
    wide = max(len(columns), COLUMNS)
    tall = max(len(column) for column in columns)
    places = {name: (x, y) for x, column in enumerate(columns) for y, name in enumerate(column)}
    places |= {name: (number % wide, tall + number // wide) for number, name in enumerate(alone)}
    nodes = {
        name: Node(
            known[name],
            MARGIN + x * (WIDTH + GAP_X),
            MARGIN + y * (HEIGHT + GAP_Y),
            wrap(titles.get(name, name)),
        )
        for name, (x, y) in places.items()
    }
    edges = [Edge(before, name, _curve(nodes[before], nodes[name])) for name in after for before in after[name]]
    return Graph(
        width=2 * MARGIN + (1 + max(x for x, _ in places.values())) * (WIDTH + GAP_X) - GAP_X,
        height=2 * MARGIN + (1 + max(y for _, y in places.values())) * (HEIGHT + GAP_Y) - GAP_Y,
        nodes=tuple(nodes[name] for name in known),
        edges=tuple(edges),
    )


def _columns(names: Sequence[str], after: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Put each task in the column behind the last of those before it, near the rows that it hangs on."""
    depth: dict[str, int] = {}

    def deep(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((deep(before) for before in after[name]), default=-1)
        return depth[name]

    columns: list[list[str]] = [[] for _ in range(1 + max(map(deep, names)))]
    for name in names:
        columns[deep(name)].append(name)
    rows: dict[str, float] = {}
    for column in columns:
        column.sort(key=lambda name: _mean(rows[before] for before in after[name]))
        rows |= {name: float(row) for row, name in enumerate(column)}
    return columns


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0


def _curve(before: Node, after: Node) -> str:
    x1, y1 = before.x + WIDTH, before.y + HEIGHT // 2
    x2, y2 = after.x, after.y + HEIGHT // 2
    bend = max((x2 - x1) // 2, GAP_X // 2)
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2 - 5} {y2}"


def wrap(text: str, width: int = LINE, lines: int = LINES) -> tuple[str, ...]:
    """Break a text into at most so many lines of so many letters, at spaces where it has any; the rest is cut off."""
    found: list[str] = []
    line = ""
    for word in _words(text):
        if line and wide(line + word.rstrip()) > width:
            found.append(line.strip())
            line = ""
        line += word
    found.append(line.strip())
    cut = [_fit(line, width) for line in found[:lines]]
    if len(found) > lines:
        cut[-1] = _fit(cut[-1] + "…", width)
    return tuple(cut)


def _words(text: str) -> Iterable[str]:
    word = ""
    for letter in text:
        if wide(letter) > 1:  # a line may be broken before and after any Chinese character
            if word:
                yield word
            yield letter
            word = ""
            continue
        word += letter
        if letter == " ":
            yield word
            word = ""
    if word:
        yield word


def _fit(line: str, width: int) -> str:
    if wide(line) <= width:
        return line
    kept = line.rstrip("…")
    while wide(kept) + 1 > width:
        kept = kept[:-1]
    return f"{kept}…"


def wide(text: str) -> int:
    """Say how many letters' room a text takes."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
