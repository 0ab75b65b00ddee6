"""What is wrong with an alert, in one line that its sender can act on."""

from services.platform.errors import MusterError

_SHOWN = 60
"""Longest piece of the sender's own text that a message repeats, in characters."""


class CapError(MusterError):
    """An alert that can't be taken; its text is ``line N: <element> what is wrong; the mend``.

    ``malformed`` tells that it isn't even readable XML, as opposed to XML that isn't a valid alert or not one
    that Muster acts on.
    """

    def __init__(self, line: int, element: str, problem: str, mend: str, *, malformed: bool = False) -> None:
        super().__init__(f"line {line}: <{element}> {problem}; {mend}")
        self.line = line
        self.element = element
        self.malformed = malformed


def shown(text: str) -> str:
    """Quote a piece of the sender's text on one line, cut short where it is long."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
