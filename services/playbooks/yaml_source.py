"""Strict YAML: a tree of maps, lists and strings with the line of everything, and nothing that can surprise.

Plain scalars stay strings, so ``no``, ``12:30:00`` and ``1e3`` are what they look like; an empty value, ``null`` and
``~`` are None. Refused: duplicate keys, anchors, aliases, merge keys, tags, directives, a second document, more than
1 MiB, more than 40 levels. The C parser's events are read, not its composed tree: composing recurses on the C stack
and drops explicit tags, and the events can be left at the first level that is too deep.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from services.playbooks.problem import Gravity, NodePath, PlaybookError, Problem, dotted

MAX_BYTES = 1 << 20
MAX_DEPTH = 40

_NULLS = frozenset({"", "null", "~"})
_TAB = "found a tab character"
_PARSER_MENDS = {
    "found character that cannot start any token": 'put the text in "quotes"',
    "mapping values are not allowed in this context": 'put a text that contains ": " in "quotes"',
    "found unexpected end of stream": "close the quote",
    "did not find expected key": "indent this line like its neighbours",
    "did not find expected ',' or '}'": "close the brace",
    "did not find expected ',' or ']'": "close the bracket",
    "did not find expected '-' indicator": "indent this line like its neighbours",
    "could not find expected ':'": "write the key, a colon and a space before the value",
}


@dataclass(frozen=True, slots=True)
class SourceMap:
    """Where everything in a document stands: ``lines`` has the line of each key and each list item, by path."""

    file: str
    lines: Mapping[NodePath, int] = field(default_factory=dict)

    def line(self, path: NodePath) -> int:
        """Give the line of a path, or of the nearest thing around it; 0 when the document has no lines."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 0

    def problem(self, path: NodePath, message: str, mend: str = "", severity: Gravity = Gravity.ERROR) -> Problem:
        """Make a problem that points at a path of this document."""
        return Problem(self.file, self.line(path), dotted(path), message, mend, severity)


@dataclass(slots=True)
class _Open:
    """A map or list that is being read; ``key`` waits for its value."""

    node: dict[str, Any] | list[Any]
    path: NodePath
    key: str | None = None


def read_text(path: Path) -> str:
    """Read a file as UTF-8; PlaybookError when it is missing, too big, or not UTF-8."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise PlaybookError([Problem(str(path), 0, "", f"can't be read ({reason})")]) from error
    if len(data) > MAX_BYTES:
        raise PlaybookError([_too_big(str(path))])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise PlaybookError([Problem(str(path), line, "", message, "save the file as UTF-8")]) from error


def read_tree(text: str, file: str) -> tuple[dict[str, Any], SourceMap]:
    """Read one YAML document whose top is a map.

    Gives the tree (dict, list, str, None) and its lines. Raises PlaybookError: duplicate keys are all reported,
    anything else stops at its first occurrence.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise PlaybookError([_too_big(file)])
    reader = _Reader(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        raise PlaybookError([*reader.problems, _parser_problem(file, text, error)]) from error
    except yaml.reader.ReaderError as error:
        # The C reader counts its position in bytes of UTF-8.
        line = text.encode().count(b"\n", 0, error.position) + 1
        message = f"control character U+{error.character:04X}"
        raise PlaybookError([*reader.problems, Problem(file, line, "", message, "delete it")]) from error
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise PlaybookError([Problem(file, line, "", "half of a surrogate pair", "save the file as UTF-8")]) from error
    source = SourceMap(file, reader.lines)
    if reader.problems:
        raise PlaybookError(reader.problems)
    if not isinstance(reader.root, dict):
        found = "the file is empty" if reader.root is None else f"the file is {_kind(reader.root)}, not a map"
        raise PlaybookError([Problem(file, 1, "", found, "write `key: value` lines")])
    return reader.root, source


class _Reader:
    """Builds the tree from parser events without recursion."""

    def __init__(self, file: str) -> None:
        self.root: Any = None
        self.lines: dict[NodePath, int] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._stack: list[_Open] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        """Take in one event; PlaybookError at a construct that is refused."""
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def begin(self, event: Any) -> None:
        """Start a document."""
        self._documents += 1
        if self._documents > 1:
            self._refuse(event, "a second document begins here", "keep one document in a file")
        if event.version or event.tags:
            self._refuse(event, "YAML directives are not used here", "delete the line that begins with %")

    def alias(self, event: Any) -> None:
        """Refuse an alias."""
        self._refuse(event, f"alias *{event.anchor} is not used here", "write the text out")

    def scalar(self, event: Any) -> None:
        """Take in a key or a single value."""
        self._check(event)
        plain = not event.style
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.node, dict) and top.key is None:
            self._key(top, event, plain)
            return
        value = None if plain and event.value in _NULLS else event.value
        self._place(value, event)

    def opened(self, event: Any) -> None:
        """Start a map or a list."""
        self._check(event)
        if len(self._stack) >= MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} deep", "make it flatter")
        node: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.node, dict) and top.key is None:
            self._refuse(event, "a key is a map or a list", "write a word as the key")
        self._stack.append(_Open(node, self._place(node, event)))

    def closed(self, _event: Any) -> None:
        """Finish a map or a list."""
        self._stack.pop()

    def _key(self, top: _Open, event: Any, plain: bool) -> None:
        if plain and event.value == "<<":
            self._refuse(event, "merge key << is not used here", "write the keys out")
        if plain and event.value in _NULLS:
            self._refuse(event, "a key is empty", "write a word before the colon")
        top.key = event.value
        path = (*top.path, event.value)
        line = event.start_mark.line + 1
        if event.value in top.node:
            message = f"is written twice (first in line {self.lines[path]})"
            self.problems.append(Problem(self._file, line, dotted(path), message, "keep one of them"))
        else:
            self.lines[path] = line

    def _place(self, value: Any, event: Any) -> NodePath:
        if not self._stack:
            self.root = value
            self.lines[()] = event.start_mark.line + 1
            return ()
        top = self._stack[-1]
        if isinstance(top.node, list):
            path = (*top.path, len(top.node))
            self.lines[path] = event.start_mark.line + 1
            top.node.append(value)
            return path
        key, top.key = str(top.key), None
        top.node[key] = value
        return (*top.path, key)

    def _check(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(event, f"anchor &{event.anchor} is not used here", "write the text out where it is needed")
        if event.tag is not None:
            self._refuse(event, f"tag {event.tag} is not used here", "delete the tag")

    def _refuse(self, event: Any, message: str, mend: str) -> None:
        top = self._stack[-1] if self._stack else None
        path: NodePath = () if top is None else top.path if top.key is None else (*top.path, top.key)
        # A nested bomb has a path as deep as itself; its beginning is enough to find it.
        problem = Problem(self._file, event.start_mark.line + 1, dotted(path[:6]), message, mend)
        raise PlaybookError([*self.problems, problem])


_HANDLERS: dict[type, Callable[[_Reader, Any], None]] = {
    yaml.DocumentStartEvent: _Reader.begin,
    yaml.AliasEvent: _Reader.alias,
    yaml.ScalarEvent: _Reader.scalar,
    yaml.MappingStartEvent: _Reader.opened,
    yaml.SequenceStartEvent: _Reader.opened,
    yaml.MappingEndEvent: _Reader.closed,
    yaml.SequenceEndEvent: _Reader.closed,
}


def _parser_problem(file: str, text: str, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    said = (error.problem or "not YAML").strip()
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    indent = written[: len(written) - len(written.lstrip())]
    if "\t" in indent or said.startswith(_TAB):
        return Problem(file, line, "", "a tab is used to indent", "indent with spaces")
    return Problem(file, line, "", f"not YAML: {said}", _PARSER_MENDS.get(said, ""))


def _too_big(file: str) -> Problem:
    return Problem(file, 0, "", f"is larger than {MAX_BYTES // 1024} KiB", "split it")


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a single text"


def walk(value: Any, path: NodePath = ()) -> Iterator[tuple[NodePath, Any]]:
    """Go over a tree, outermost first, giving each value with its path."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, (*path, index))
