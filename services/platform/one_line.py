"""Text from outside on one line, wherever it goes."""

_LONGEST = 1_000
"""Longest text, in characters."""


def one_line(text: str) -> str:
    """Make text safe to store, log and send: printable, on one line, of bounded length."""
    return "".join(char if char.isprintable() else " " for char in text[:_LONGEST])
