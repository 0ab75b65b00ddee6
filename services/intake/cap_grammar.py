"""CAP's elements and words as tables, one set for each version, and the check of an element against them.

Sources: OASIS CAP-V1.0 (2004-03), CAP-V1.1 (2005-10) and CAP-v1.2 (2010-07), clauses 3.2.1 to 3.2.4, which carry
the same numbers in all three. Order is not asked for: nothing in the meaning of an alert hangs on it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lxml import etree

from schemas.vocabulary import Category, Certainty, MessageType, Severity, Status, Urgency
from services.intake.cap_error import CapError, shown
from services.intake.cap_xml import line_of

CLAUSES = {"alert": "3.2.1", "info": "3.2.2", "resource": "3.2.3", "area": "3.2.4"}
PAIRS = {"eventCode": "info", "parameter": "info", "geocode": "area"}
"""Elements that hold a name and a value, and what they stand in."""
SCOPES = ("Public", "Restricted", "Private")

_Table = Mapping[str, str]

# "1" exactly once, "?" at most once, "+" once or more, "*" any number of times.
_ALERT: _Table = dict.fromkeys(("identifier", "sender", "sent", "status", "msgType", "scope"), "1") | {
    **dict.fromkeys(("source", "restriction", "addresses", "note", "references", "incidents"), "?"),
    **dict.fromkeys(("code", "info"), "*"),
}
_INFO: _Table = dict.fromkeys(("event", "urgency", "severity", "certainty"), "1") | {
    **dict.fromkeys(("language", "audience", "effective", "onset", "expires", "senderName", "headline"), "?"),
    **dict.fromkeys(("description", "instruction", "web", "contact"), "?"),
    **dict.fromkeys(("responseType", "eventCode", "parameter", "resource", "area"), "*"),
    "category": "+",
}
_RESOURCE: _Table = dict.fromkeys(("resourceDesc", "mimeType"), "1") | dict.fromkeys(
    ("size", "uri", "derefUri", "digest"), "?"
)
_AREA: _Table = {"areaDesc": "1", "polygon": "*", "circle": "*", "geocode": "*", "altitude": "?", "ceiling": "?"}
_PAIR: _Table = {"valueName": "1", "value": "1"}
_TABLES = {"alert": _ALERT, "info": _INFO, "resource": _RESOURCE, "area": _AREA} | dict.fromkeys(PAIRS, _PAIR)

_RESPONSES = ("Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "status": tuple(Status),
    "msgType": tuple(MessageType),
    "scope": SCOPES,
    "category": tuple(Category),
    "urgency": tuple(Urgency),
    "severity": tuple(Severity),
    "certainty": tuple(Certainty),
    "responseType": _RESPONSES,
}


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the protocol.

    ``tables`` says how often an element may stand in another, ``words`` what an element may say. ``text_pairs``:
    a code is written ``name=value`` in one text. ``zulu``: a time may end in ``Z`` or carry fractions of a second.
    """

    name: str
    tables: Mapping[str, _Table]
    words: Mapping[str, tuple[str, ...]]
    text_pairs: bool = False
    zulu: bool = False

    def cite(self, kind: str) -> str:
        """Name the clause that describes an element."""
        return f"CAP {self.name}, {CLAUSES[PAIRS.get(kind, kind)]}"


def _without(words: tuple[str, ...], *gone: str) -> tuple[str, ...]:
    return tuple(word for word in words if word not in gone)


_WORDS_1_1 = {**_WORDS, "responseType": _without(_RESPONSES, "Avoid", "AllClear")}
_TABLES_1_0 = {
    "alert": {**_ALERT, "scope": "?", "password": "?"},
    "info": {name: often for name, often in _INFO.items() if name != "responseType"} | {"category": "*"},
    "resource": {name: often for name, often in _RESOURCE.items() if name != "derefUri"} | {"mimeType": "?"},
    "area": _AREA,
}
_WORDS_1_0 = {
    **_WORDS,
    "status": _without(tuple(Status), "Draft"),
    "category": _without(tuple(Category), "CBRNE"),
    "certainty": ("Very Likely", *_without(tuple(Certainty), "Observed")),
}

VERSIONS: Mapping[str, Version] = {
    "urn:oasis:names:tc:emergency:cap:1.2": Version("1.2", _TABLES, _WORDS),
    "urn:oasis:names:tc:emergency:cap:1.1": Version("1.1", _TABLES, _WORDS_1_1),
    "http://www.incident.com/cap/1.0": Version("1.0", _TABLES_1_0, _WORDS_1_0, text_pairs=True, zulu=True),
}


class Part:
    """One element that holds others, checked against its table; its text elements are read by name.

    Raises `CapError` for an element that is missing, unknown, repeated, or says a word that isn't in the list.
    Elements of other namespaces (a signature, an extension) are passed over.
    """

    def __init__(self, element: etree._Element, kind: str, version: Version) -> None:
        self.element = element
        self.version = version
        self._kind = kind
        self._table = version.tables[kind]
        self._children: dict[str, list[etree._Element]] = {name: [] for name in self._table}
        namespace = etree.QName(element).namespace
        for child in element.iterchildren("*"):
            name = etree.QName(child)
            if name.namespace != namespace:
                continue
            if name.localname not in self._children:
                raise self.error(
                    child, f"is no element of <{kind}> in CAP {version.name}", "correct its name or remove it"
                )
            if len(child) and name.localname not in version.tables:
                raise self.error(child, "holds other elements", "write text only")
            self._children[name.localname].append(child)
        for known in self._table:
            self._check(known)

    def _check(self, name: str) -> None:
        found, often, words = self._children[name], self._table[name], self.version.words.get(name)
        if not found and often in "1+":
            choice = f", one of {', '.join(words)}" if words else ""
            raise self.error(self.element, f"has no <{name}>", f"add it{choice}")
        if len(found) > 1 and often in "1?":
            raise self.error(found[1], f"stands in <{self._kind}> {len(found)} times", "give it once")
        for child in found if words else ():
            said = text_of(child)
            if said not in (words or ()) and (said or often in "1+"):
                raise self.error(child, f"says {shown(said)}", f"write one of {', '.join(words or ())}")

    def error(self, element: etree._Element, problem: str, mend: str) -> CapError:
        """Make the error for one element, with its line and the clause it breaks."""
        name = etree.QName(element).localname
        return CapError(line_of(element), name, problem, f"{mend} ({self.version.cite(self._kind)})")

    def elements(self, name: str) -> Iterator[etree._Element]:
        """Give the elements of this name that are not empty."""
        return (child for child in self._children[name] if len(child) or text_of(child))

    def text(self, name: str, at_most: int) -> str | None:
        """Read a text; a zero-length one counts as absent, unless the element is required. ``at_most`` characters."""
        for child in self._children[name]:
            said = self.read(child, at_most)
            if said or self._table[name] == "1":
                if not said:
                    raise self.error(child, "is empty", "say what it stands for")
                return said
        return None

    def required(self, name: str, at_most: int) -> str:
        """Read a text that the version requires."""
        said = self.text(name, at_most)
        if said is None:
            raise self.error(self.element, f"has no <{name}>", "add it")
        return said

    def first(self, name: str) -> etree._Element:
        """Give the first element of a name, or this one itself, to point an error at."""
        return next(iter(self._children[name]), self.element)

    def read(self, child: etree._Element, at_most: int) -> str:
        """Read one element's text without the space around it."""
        said = text_of(child)
        if len(said) > at_most:
            raise self.error(child, f"has {len(said)} characters", f"shorten it to {at_most}")
        return said


def text_of(element: etree._Element) -> str:
    """Give an element's text without the space around it."""
    return (element.text or "").strip()
