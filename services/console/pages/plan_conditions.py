"""A plan's conditions in words, for those who don't write them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from schemas.base import Text
from services.console.pages.plan_condition_reader import (
    PLACES,
    Fact,
    Group,
    Known,
    Mention,
    Node,
    read_condition,
    title_of,
)


class Said(NamedTuple):
    """A condition in words: ``how`` is ``one`` for a single one, or ``any``, ``all`` or ``none`` of its parts.

    ``code`` marks a piece that is left as it is written.
    """

    how: str
    text: Text | None = None
    parts: tuple["Said", ...] = ()
    code: bool = False

    @property
    def plain(self) -> bool:
        """True where the parts are so simple that they can stand on one line."""
        return self.how == "all" and all(part.text is not None for part in self.parts)


def in_words(source: str) -> Said:
    """Say a condition in words."""
    return _said(read_condition(source))


def _said(node: Node) -> Said:
    match node:
        case Mention(where, words):
            quoted = [f"“{word}”" for word in words]
            place = PLACES[where]
            return Said(
                "one", Text(en=f"{place.en} mentions {', '.join(quoted)}", zh=f"{place.zh}提到{'、'.join(quoted)}")
            )
        case Known(name):
            title = title_of(name)
            return Said("one", Text(en=f"{title.en} known", zh=f"已知{title.zh}"))
        case Fact(text, _, code):
            return Said("one", text, code=code)
        case Group(how, parts):
            kept = _needed(parts) if how == "all" else list(_together(parts))
            if len(kept) == 1 and how != "none":
                return _said(kept[0])
            return Said(how, parts=tuple(dict.fromkeys(_said(part) for part in kept)))


def _needed(parts: Iterable[Node]) -> list[Node]:
    """Leave out that a parameter must be known where something is asked of it."""
    kept = list(parts)
    asked = set(_abouts(kept))
    return [part for part in kept if not (isinstance(part, Known) and part.name in asked)]


def _abouts(parts: Iterable[Node]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Fact):
            yield part.about
        elif isinstance(part, Group):
            yield from _abouts(part.parts)


def _together(parts: Iterable[Node]) -> Iterator[Node]:
    """Tell of each text of the report once."""
    mentions: dict[str, list[str]] = {}
    kept = list(parts)
    for part in kept:
        if isinstance(part, Mention):
            mentions.setdefault(part.where, []).extend(part.words)
    for part in kept:
        if not isinstance(part, Mention):
            yield part
        elif part.where in mentions:
            yield Mention(part.where, tuple(dict.fromkeys(mentions.pop(part.where))))


_JOINED = {
    "en": {"any": " or ", "all": " and ", "none": " or "},
    "zh": {"any": "，或", "all": "，且", "none": "，或"},
}


def flat(said: Said, language: str) -> str:
    """Write a condition on one line, for a drawing's label or a table's cell."""
    if said.text is not None:
        return said.text.zh if language == "zh" else said.text.en
    inner = _JOINED[language][said.how].join(
        f"({flat(part, language)})" if part.parts else flat(part, language) for part in said.parts
    )
    if said.how == "none":
        return f"除非：{inner}" if language == "zh" else f"not: {inner}"
    return inner
