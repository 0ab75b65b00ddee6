"""Reads a plan's condition, in the Common Expression Language as planners use it, into pieces that have words.

What isn't understood becomes a piece as it is written, so that nothing is told wrongly.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.base import Text
from schemas.vocabulary import Category, Certainty, Severity, Urgency
from schemas.words import CATEGORIES, CERTAINTIES, SEVERITIES, URGENCIES
from services.console.pages.report import MEASURES
from services.playbooks.cel_source import Token, tokens


class NotUnderstoodError(Exception):
    """It is written in a way that these words don't cover."""


@dataclass(frozen=True, slots=True)
class Mention:
    """Words of which a text of the report must have one; those of one text are told together."""

    where: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """Whether a parameter was reported; not worth saying beside what is asked of it."""

    name: str


@dataclass(frozen=True, slots=True)
class Fact:
    """Anything else, in words; ``about`` is the parameter that it is about."""

    text: Text
    about: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Pieces of which ``any``, ``all`` or ``none`` must hold."""

    how: str
    parts: tuple["Node", ...]


Node = Mention | Known | Fact | Group
PLACES = {
    "event": Text(en="the event", zh="事件名称"),
    "headline": Text(en="the headline", zh="标题"),
    "description": Text(en="the description", zh="详细情况"),
    "instruction": Text(en="the instruction", zh="处置建议"),
    "areas": Text(en="an area", zh="某一地点"),
    "event_codes": Text(en="an event code", zh="事件代码"),
    "geocodes": Text(en="a geocode", zh="区划代码"),
}
_SCALES: dict[str, tuple[Text, type[StrEnum], Mapping[Any, Text]]] = {
    "severity": (Text(en="severity", zh="严重程度"), Severity, SEVERITIES),
    "urgency": (Text(en="urgency", zh="紧急程度"), Urgency, URGENCIES),
    "certainty": (Text(en="certainty", zh="确定程度"), Certainty, CERTAINTIES),
}
_COMPARED = {
    ">=": Text(en="at least", zh="不低于"),
    ">": Text(en="above", zh="高于"),
    "<=": Text(en="at most", zh="不高于"),
    "<": Text(en="below", zh="低于"),
    "==": Text(en="is", zh="为"),
    "!=": Text(en="is not", zh="不为"),
}
_PLAIN_PATTERN = re.compile(r"(?:\(\?[is]+\))?(?:\.\*)?(?P<words>.+?)(?:\.\*)?")
_PLAIN_WORD = re.compile(r"[\w \u4e00-\u9fff-]+\??[\w -]*")


def read_condition(source: str) -> Node:
    """Read a condition."""
    try:
        reader = _Reader(tokens(source))
        node = reader.either()
        if not reader.ended:
            raise NotUnderstoodError
    except (NotUnderstoodError, IndexError, KeyError, ValueError):
        return as_written(source)
    return node


class _Reader:
    """Reads tokens by the precedence of CEL: or, and, comparison, not."""

    def __init__(self, found: tuple[Token, ...]) -> None:
        self._found = found
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._found)

    def _text(self, ahead: int = 0) -> str:
        place = self._at + ahead
        return self._found[place].text if place < len(self._found) else ""

    def _take(self, *texts: str) -> bool:
        if all(self._text(ahead) == text for ahead, text in enumerate(texts)):
            self._at += len(texts)
            return True
        return False

    def _expect(self, *texts: str) -> None:
        if not self._take(*texts):
            raise NotUnderstoodError

    def _next(self, kind: str) -> str:
        if self.ended or self._found[self._at].kind != kind:
            raise NotUnderstoodError
        self._at += 1
        return self._found[self._at - 1].text

    def either(self) -> Node:
        """Read parts of which one must hold."""
        parts = [self._both()]
        while self._take("|", "|"):
            parts.append(self._both())
        return _group("any", parts)

    def _both(self) -> Node:
        parts = [self._one()]
        while self._take("&", "&"):
            parts.append(self._one())
        return _group("all", parts)

    def _one(self) -> Node:
        start = self._at
        try:
            return self._understood()
        except (NotUnderstoodError, IndexError, KeyError, ValueError):
            return self._skipped(start)

    def _skipped(self, start: int) -> Node:
        """Leave a part as it is written, up to where the next begins."""
        self._at, depth = start, 0
        while not self.ended:
            text = self._text()
            if depth == 0 and (text == ")" or (text in "&|" and self._text(1) == text)):
                break
            depth += (text in "([{") - (text in ")]}")
            self._at += 1
        return as_written("".join(_spaced(self._found[start : self._at])))

    def _understood(self) -> Node:
        if self._take("!"):
            return _negated(self._understood())
        if self._take("("):
            inside = self.either()
            self._expect(")")
            return inside
        if self._text() in {"has", "size"} and self._text(1) == "(":
            return self._function(self._next("name"))
        if self._found[self._at].kind == "string":
            word = _unquoted(self._next("string"))
            self._expect("in")
            return _contained(self._next("name"), (word,))
        name = self._next("name")
        if name == "parameters":
            parameter = self._parameter()
            return _measured(parameter, *self._compared())
        if self._take("."):
            return self._method(name, self._next("name"))
        operator, value = self._compared()
        return _ranked(name, operator, value)

    def _function(self, name: str) -> Node:
        self._expect("(")
        if name == "has":
            self._expect("parameters")
            parameter = self._parameter()
            self._expect(")")
            return Known(parameter)
        self._expect("areas")
        self._expect(")")
        operator, value = self._compared()
        word = _COMPARED[operator]
        return Fact(Text(en=f"{word.en} {value} areas are named", zh=f"地点数{word.zh}{value}"))

    def _parameter(self) -> str:
        if self._take("["):
            name = _unquoted(self._next("string"))
            self._expect("]")
            return name
        self._expect(".")
        return self._next("name")

    def _compared(self) -> tuple[str, str]:
        for marks in ((">", "="), ("<", "="), ("=", "="), ("!", "="), (">",), ("<",)):
            if self._take(*marks):
                sign = "-" if self._take("-") else ""
                token = self._found[self._at]
                self._at += 1
                if token.kind not in {"number", "string"}:
                    raise NotUnderstoodError
                return "".join(marks), sign + _unquoted(token.text)
        raise NotUnderstoodError

    def _method(self, name: str, method: str) -> Node:
        self._expect("(")
        if method == "exists":
            bound = self._next("name")
            self._expect(",")
            words = tuple(self._alternatives(bound))
            self._expect(")")
            return _contained(name, words)
        written = _unquoted(self._next("string"))
        self._expect(")")
        if method == "contains":
            return _contained(name, (written,))
        if method == "matches":
            return _contained(name, _alternatives_of(written))
        raise NotUnderstoodError

    def _alternatives(self, bound: str) -> Iterator[str]:
        while True:
            self._expect(bound)
            if self._take(".", "contains", "("):
                yield _unquoted(self._next("string"))
                self._expect(")")
            else:
                self._expect("=", "=")
                yield _unquoted(self._next("string"))
            if not self._take("|", "|"):
                return


def _group(how: str, parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Group(how, tuple(parts))


def _negated(node: Node) -> Node:
    if isinstance(node, Group) and node.how == "any":
        return Group("none", node.parts)
    if isinstance(node, Known):
        title = title_of(node.name)
        return Fact(Text(en=f"{title.en} not known", zh=f"{title.zh}不详"))
    return Group("none", (node,))


def _ranked(name: str, operator: str, value: str) -> Node:
    word = _COMPARED[operator]
    if name == "hour":
        clock = f"{int(float(value)):02}:00"
        return Fact(
            {
                ">=": Text(en=f"at {clock} or later", zh=f"{clock}及以后"),
                "<=": Text(en=f"before {int(float(value)) + 1:02}:00", zh=f"{int(float(value)) + 1:02}:00以前"),
                "<": Text(en=f"before {clock}", zh=f"{clock}以前"),
            }[operator]
        )
    scale, is_rank = name.removesuffix("_rank"), name.endswith("_rank")
    title, kind, words = _SCALES[scale]
    members: list[StrEnum] = list(kind)
    member = members[len(members) - 1 - int(float(value))] if is_rank else kind(value)
    said = words[member]
    return Fact(Text(en=f"{title.en} {word.en} {said.en}", zh=f"{title.zh}{word.zh}“{said.zh}”"))


def _measured(parameter: str, operator: str, value: str) -> Node:
    title = title_of(parameter)
    number = value.removesuffix(".0")
    sign = {">=": "≥", "<=": "≤", "==": "=", "!=": "≠"}.get(operator, operator)
    return Fact(Text(en=f"{title.en} {sign} {number}", zh=f"{title.zh} {sign} {number}"), about=parameter)


def title_of(parameter: str) -> Text:
    """Give what a parameter is called; its own name where nobody gave it a title."""
    return MEASURES.get(parameter) or MEASURES.get(parameter.lower()) or Text(en=parameter, zh=parameter)


def _contained(where: str, words: tuple[str, ...]) -> Node:
    if where == "categories":
        named = [CATEGORIES[Category(word)] for word in words]
        en, zh = " or ".join(word.en for word in named), "或".join(word.zh for word in named)
        return Fact(Text(en=f"category {en}", zh=f"类别为{zh}"))
    if where not in PLACES:
        raise NotUnderstoodError
    return Mention(where, words)


def _alternatives_of(pattern: str) -> tuple[str, ...]:
    """Read the words of a pattern like ``(?i).*(flood|rain).*``."""
    match = _PLAIN_PATTERN.fullmatch(pattern)
    words = match["words"] if match else ""
    if words.startswith("(") and words.endswith(")") and words.count("(") == 1:
        words = words[1:-1]
    found = tuple(words.split("|"))
    if not all(_PLAIN_WORD.fullmatch(word) for word in found):
        raise NotUnderstoodError
    return tuple(word.replace("?", "") for word in found)


def as_written(source: str) -> Node:
    """Leave a piece as it is written."""
    written = " ".join(source.split())
    return Fact(Text(en=written or "-", zh=written or "-"), code=True)


def _spaced(found: Iterable[Token]) -> Iterator[str]:
    before = ""
    for token in found:
        is_operator = token.text in "&|=<>!"
        begins = is_operator and before not in ("&", "|", "=", "<", ">", "!")
        ends = not is_operator and before in ("&", "|", "=", "<", ">")
        yield f" {token.text}" if begins or ends else token.text
        before = token.text


def _unquoted(text: str) -> str:
    if text[:1] in "\"'" and "\\" not in text:
        return text.strip("\"'")
    if text[:1].isalpha() or "\\" in text:
        raise NotUnderstoodError
    return text
