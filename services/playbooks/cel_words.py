"""Comparisons in CEL that can never be true: it compares a list with text, or a misspelled word, without a murmur."""

from collections.abc import Iterator, Sequence

from schemas.vocabulary import Category, Certainty, Severity, Urgency
from services.playbooks.cel_source import SourceError, Token
from services.playbooks.problem import did_you_mean

_WORDS: dict[str, tuple[str, ...]] = {
    "severity": tuple(Severity),
    "urgency": tuple(Urgency),
    "certainty": tuple(Certainty),
}
_LISTS = ("categories", "areas", "geocodes", "event_codes")
_NUMBERS = ("severity_rank", "urgency_rank", "certainty_rank", "hour")
_EQUALITY = (("=", "="), ("!", "="))


def check_words(found: Sequence[Token]) -> None:
    """Raise SourceError for a comparison whose answer doesn't depend on the incident.

    Looks at ``variable == "text"`` and its mirror, ``variable in ["text", ...]`` and ``"text" in categories``.
    """
    for variable, text in _compared(found, (*_WORDS, *_LISTS, *_NUMBERS)):
        word = text.strip("\"'")
        if variable in _LISTS:
            raise SourceError(f"{variable} is a list, and is never equal to a text", f"write {text} in {variable}")
        if variable in _NUMBERS:
            raise SourceError(f"{variable} is a number, and is never equal to a text", "write it without quotes")
        _check_word(variable, word, _WORDS[variable])
    for position, token in enumerate(found[:-2]):
        if token.kind == "string" and found[position + 1].text == "in" and found[position + 2].text == "categories":
            _check_word("categories", token.text.strip("\"'"), tuple(Category))


def _check_word(variable: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        raise SourceError(f'{variable} is never "{word}"', did_you_mean(word, [str(one) for one in known]))


def texts_compared(variable: str, found: Sequence[Token]) -> list[str]:
    """List the texts that one variable is compared to."""
    return [text.strip("\"'") for _, text in _compared(found, (variable,))]


def _compared(found: Sequence[Token], checked: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give each of the checked variables with each text, quotes included, that it is compared to."""
    for position, token in enumerate(found):
        is_member = position > 0 and found[position - 1].text == "."
        if token.kind != "name" or token.text not in checked or is_member:
            continue
        after, before = found[position + 1 : position + 4], found[max(position - 3, 0) : position]
        if len(after) == 3 and (after[0].text, after[1].text) in _EQUALITY and after[2].kind == "string":
            yield token.text, after[2].text
        if len(before) == 3 and (before[1].text, before[2].text) in _EQUALITY and before[0].kind == "string":
            yield token.text, before[0].text
        if token.text not in _LISTS and [one.text for one in after[:2]] == ["in", "["]:
            for item in found[position + 3 :]:
                if item.text == "]":
                    break
                if item.kind == "string":
                    yield token.text, item.text
