"""From bytes to an XML tree that is safe to walk: no DTD, no entities, no network, bounded in size and depth.

A DOCTYPE is refused before the parser sees it, so neither entity expansion ("billion laughs") nor an external
entity ("XXE") can be asked for. The bytes are decoded here, strictly, so that text in another encoding than the
one declared (XML 1.0, 4.3.3) is refused instead of guessed at.
"""

import codecs
import re
from typing import cast

from lxml import etree

from services.intake.cap_error import CapError, shown

MAX_BYTES = 1_000_000
"""Largest alert, in bytes; what is larger could not be published in one message either."""
MAX_DEPTH = 32
"""Deepest nesting, in elements: CAP needs 5, an XML signature in it about 8."""

_ENCODINGS = frozenset({"utf-8", "utf-16", "ascii", "iso8859-1", "cp1252", "gb18030", "gbk", "gb2312", "big5"})
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0?\0", "utf-16-le"),
    (b"\0<\0?", "utf-16-be"),
)
_DECLARED = re.compile(rb"""\A<\?xml\s[^>]{0,100}?encoding\s*=\s*["']([^"'>]{0,40})["']""")
# Atomic groups: a prolog of many comments is read once, however it ends.
_DOCTYPE = re.compile(r"\A\ufeff?(?>\s+|<\?(?>.*?\?>)|<!--(?>.*?-->))*+<!DOCTYPE", re.DOTALL)
_WHERE = re.compile(r", line \d+, column \d+.*\Z", re.DOTALL)


def read_tree(data: bytes) -> etree._Element:
    """Parse an alert's bytes and return the root element, without comments and processing instructions.

    Raises `CapError` (``malformed``) with the line for what isn't well-formed XML 1.0 within the bounds above.
    """
    if len(data) > MAX_BYTES:
        raise _malformed(1, f"has {len(data)} bytes", f"send at most {MAX_BYTES}")
    if not data.strip():
        raise _malformed(1, "is missing, the document is empty", "send one CAP alert")
    text = _decode(data)
    if (at := text.find("\0")) >= 0:
        raise _malformed(_line(text, at), "holds a NUL character", "remove it; XML has no such character")
    if doctype := _DOCTYPE.match(text):
        raise _malformed(_line(text, doctype.end()), "comes with a DOCTYPE", "remove it; an alert needs none")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        reason = _WHERE.sub("", str(error.msg)).strip() or "it can't be parsed"
        raise _malformed(error.lineno or 1, f"is not well-formed XML: {_plain(reason)}", "correct it there") from None
    _check_depth(root)
    return root


def line_of(element: etree._Element) -> int:
    """Tell the line an element begins on, counted from 1."""
    return cast("int | None", element.sourceline) or 1


def _decode(data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _declared(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _malformed(
            line, f"is not in the encoding it declares ({encoding})", "declare the one it is written in, or send UTF-8"
        ) from None


def _declared(data: bytes) -> str:
    declaration = _DECLARED.match(data[:200])
    if declaration is None:
        return "utf-8"
    name = declaration[1].decode("ascii", "replace")
    try:
        encoding = codecs.lookup(name).name
    except (LookupError, ValueError):
        encoding = ""
    if encoding not in _ENCODINGS:
        raise _malformed(1, f"declares the encoding {shown(name)}, which is not read here", "send UTF-8")
    return encoding


def _check_depth(root: etree._Element) -> None:
    depth = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            raise _malformed(line_of(element), f"nests deeper than {MAX_DEPTH} elements", "flatten it")


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _plain(reason: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in reason)[:200]


def _malformed(line: int, problem: str, mend: str) -> CapError:
    return CapError(line, "alert", problem, mend, malformed=True)
