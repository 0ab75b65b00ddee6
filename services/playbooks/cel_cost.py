"""What a condition may cost when it is decided: reckoned beforehand, because the evaluator has no limit of its own.

The evaluator can't be interrupted either, and an alert may list as many codes as fit into a megabyte: two nested
comprehensions over 100,000 of them would stand for hours. The reckoning is an upper bound in steps, of about 20 ns.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.playbooks.cel_source import SourceError, Token, scoped_names, text_at

MAX_STEPS = 10_000_000
"""Most steps of one decision: a fifth of a second."""
_PATTERN_STEPS = 500
"""A pattern is compiled each time it is asked."""
_CHARS_PER_STEP = 100
_BUILDERS = ("map", "filter")


Sizes = Mapping[str, tuple[int, int]]
"""How many items each variable holds, and the longest text in it, in characters."""


def sizes_of(variables: Mapping[str, Any]) -> Sizes:
    """Measure the variables of a decision."""
    return {name: _size(value) for name, value in variables.items()}


def _size(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        return 0, len(value)
    if not isinstance(value, Mapping | list):
        return 0, 0
    inner = value.values() if isinstance(value, Mapping) else value
    return len(value), max((len(each) for each in inner if isinstance(each, str)), default=0)


@dataclass(frozen=True, slots=True)
class Cost:
    """A source's cost as a function of what it looks at, which is in ``names``.

    ``loops`` says how often one goes through all items inside another going through; 0 where nothing is repeated.
    """

    names: frozenset[str]
    loops: int
    tokens: int
    joined: int
    patterns: int

    def steps(self, sizes: Sizes) -> int:
        """Reckon the most steps that a decision may take."""
        looked_at = [sizes[name] for name in self.names & sizes.keys()]
        items = (sum(count for count, _ in looked_at) + self.tokens) * (1 + self.joined)
        longest = max((length for _, length in looked_at), default=0)
        texts = longest * (1 + self.joined + self.patterns) // _CHARS_PER_STEP
        return int(items**self.loops) * (self.tokens + texts + self.patterns * _PATTERN_STEPS)

    def is_too_much(self, sizes: Sizes) -> bool:
        """Say whether a decision about so much could take too long."""
        return self.loops > 0 and self.steps(sizes) > MAX_STEPS


def cost_of(found: Sequence[Token], lists: Collection[str]) -> Cost:
    """Reckon a source's cost; ``lists`` are the variables that hold many items.

    Raises SourceError for a source that builds lists out of lists, which could double with every turn.
    """
    builds = sum(token.text in _BUILDERS and text_at(found, place + 1) == "(" for place, token in enumerate(found))
    if builds > 1:
        raise SourceError("map and filter are used more than once", "use exists or all, or split the condition")
    deepest = 0
    has_scopes = False
    names: set[str] = set()
    for _, name, scopes in scoped_names(found):
        names.add(name)
        has_scopes = has_scopes or bool(scopes)
        deepest = max(deepest, len(scopes) + (name in lists))
    return Cost(
        names=frozenset(names),
        loops=deepest + builds if has_scopes else 0,
        tokens=len(found),
        joined=sum(token.text == "+" for token in found),
        patterns=sum(token.text == "matches" for token in found),
    )
