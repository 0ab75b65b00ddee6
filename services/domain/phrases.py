"""Many phrases looked for in a text at once: the cost grows with the text, hardly with the number of phrases."""

from collections.abc import Iterable


class Phrases:
    """Phrases by their first letter and length: each place of a text is looked up, and no phrase tried in vain."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._known = frozenset(phrases)
        lengths: dict[str, set[int]] = {}
        for phrase in self._known:
            lengths.setdefault(phrase[0], set()).add(len(phrase))
        self._lengths = {first: tuple(sorted(found)) for first, found in lengths.items()}

    def within(self, text: str) -> set[str]:
        """Find the phrases that occur anywhere in a text."""
        found: set[str] = set()
        for place, letter in enumerate(text):
            for length in self._lengths.get(letter, ()):
                piece = text[place : place + length]
                if piece in self._known:
                    found.add(piece)
        return found
