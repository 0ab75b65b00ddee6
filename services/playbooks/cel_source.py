"""What can be said about a CEL source before it runs: its nesting, its names, its comprehensions, its patterns.

The compiler reports names without scopes (`Program.variables` lists what comprehensions bind as well) and has no
limits of its own, so this reads the tokens. A source that gets past here is still checked by the compiler.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_NESTING = 30
"""Deepest nesting of brackets. The compiler's own limit lies between 30 and 100 and ends in a cryptic message."""

MAX_COMPREHENSIONS = 2
"""Deepest nesting of comprehensions; `services.playbooks.cel_cost` bounds what two of them look at."""

MAX_PATTERN = 100
"""Longest regular expression in characters. It is compiled on every evaluation: 0.25 ms for a word."""

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)
      | (?P<string>(?:[rR][bB]?|[bB][rR]?)?(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}
            |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?[uU]?)
      | (?P<mark>[^\s])""",
    re.VERBOSE,
)
_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_WORDS = frozenset({"true", "false", "null", "in"})
_OPENING, _CLOSING = "([{", ")]}"


class SourceError(Exception):
    """A source breaks a bound; the arguments are a message and a mend."""

    def __init__(self, message: str, mend: str) -> None:
        self.message, self.mend = message, mend
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Token:
    """A token: ``kind`` is string, name, number or mark."""

    kind: str
    text: str


def tokens(source: str) -> tuple[Token, ...]:
    """Cut a source into tokens, without comments and white space."""
    found = ((match.lastgroup or "", match.group()) for match in _TOKEN.finditer(source))
    return tuple(Token(kind, text) for kind, text in found if kind != "comment")


def check_bounds(found: Sequence[Token]) -> None:
    """Raise SourceError when brackets or comprehensions nest too deep, or a pattern could be expensive."""
    nesting = 0
    for token in found:
        nesting += _step(token)
        if nesting > MAX_NESTING:
            raise SourceError(f"brackets are nested more than {MAX_NESTING} deep", "write it flatter")
    for _, _, scopes in scoped_names(found):
        if len(scopes) > MAX_COMPREHENSIONS:
            message = f"comprehensions are nested more than {MAX_COMPREHENSIONS} deep"
            raise SourceError(message, "split the condition")
    for position, token in enumerate(found):
        if token == Token("name", "matches") and text_at(found, position + 1) == "(":
            _check_pattern(found, position)


def free_names(found: Sequence[Token]) -> list[str]:
    """List, in order and once each, the variables a source reads: no members, functions, or comprehension names."""
    names: dict[str, None] = {}
    for position, name, scopes in scoped_names(found):
        is_member = text_at(found, position - 1) == "." if position else False
        if not is_member and text_at(found, position + 1) != "(" and not any(name in scope for scope in scopes):
            names[name] = None
    return [name for name in names if name not in _WORDS]


def parameter_names(found: Sequence[Token]) -> list[str]:
    """List the parameters a source names, as ``parameters.depth`` or ``parameters["wind speed"]``."""
    names: dict[str, None] = {}
    for position, token in enumerate(found):
        if token == Token("name", "parameters"):
            mark, after = text_at(found, position + 1), _at(found, position + 2)
            if mark == "." and after and after.kind == "name":
                names[after.text] = None
            elif mark == "[" and after and after.kind == "string":
                names[after.text.strip("\"'")] = None
    return list(names)


def scoped_names(found: Sequence[Token]) -> Iterator[tuple[int, str, list[frozenset[str]]]]:
    """Give each name with its position and the names bound around it by comprehensions."""
    nesting = 0
    scopes: list[tuple[int, frozenset[str]]] = []
    for position, token in enumerate(found):
        nesting += _step(token)
        while scopes and nesting < scopes[-1][0]:
            scopes.pop()
        if token.text == "(" and _is_macro(found, position - 1):
            bound = _at(found, position + 1)
            scopes.append((nesting, frozenset({bound.text} if bound else ())))
        if token.kind == "name":
            yield position, token.text, [scope for _, scope in scopes]


def _is_macro(found: Sequence[Token], position: int) -> bool:
    name = _at(found, position)
    return name is not None and name.kind == "name" and name.text in _MACROS and text_at(found, position - 1) == "."


def _check_pattern(found: Sequence[Token], position: int) -> None:
    """Allow `matches` with one literal only: a pattern from an incident would be the sender's program, not ours."""
    pattern = _at(found, position + 2)
    if pattern is None or pattern.kind != "string" or text_at(found, position + 3) != ")":
        raise SourceError("matches needs its pattern written out", 'write matches("...") with one quoted pattern')
    if len(pattern.text) > MAX_PATTERN:
        raise SourceError(f"a pattern is longer than {MAX_PATTERN} characters", "use contains, or split the condition")
    if re.search(r"\{\d", pattern.text):
        raise SourceError("a pattern counts repetitions with {n}, which is expensive", "repeat the character, or use +")


def _step(token: Token) -> int:
    if token.kind != "mark":
        return 0
    return (token.text in _OPENING) - (token.text in _CLOSING)


def _at(found: Sequence[Token], position: int) -> Token | None:
    return found[position] if 0 <= position < len(found) else None


def text_at(found: Sequence[Token], position: int) -> str:
    """Give the text of the token at a position; "" where there is none."""
    token = _at(found, position)
    return token.text if token else ""
