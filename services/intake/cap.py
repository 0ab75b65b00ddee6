"""Reads an alert of the Common Alerting Protocol (OASIS CAP 1.0, 1.1 and 1.2) as a report.

The checks are our own, written from the standard, because its schema isn't shipped and says less than the text
does: that an Update names what it updates, that a polygon is closed, that a restricted alert says how.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from lxml import etree
from pydantic import ValidationError

from schemas.envelope import explain
from schemas.incident import MAX_TEXT, AlertIdentity, Area
from schemas.vocabulary import MessageType, Status
from services.intake.cap_error import CapError, shown
from services.intake.cap_grammar import VERSIONS, Part
from services.intake.cap_place import check_circle, check_polygon
from services.intake.cap_xml import line_of, read_tree
from services.platform.report_in import NOT_ACTED_ON, NOT_ASKED, ReportIn

__all__ = ["CapError", "parse_cap"]

SHORT = 500
"""Longest name, code or identifier, in characters."""
DEFAULT_LANGUAGE = "en-US"
"""What is meant where no language is given (CAP 1.2, 3.2.2)."""

_UNSAFE = re.compile(r"[\s,<&]")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d")
_TIME_1_0 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?([-+]\d\d:\d\d|Z)")
_DECIMAL = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)")
_YEARS = range(1900, 2201)


def parse_cap(data: bytes, *, reported_at: datetime) -> ReportIn:
    """Read one alert from its bytes; ``reported_at`` is when it was taken in.

    Of several ``info`` blocks (one for each language) the first in English is taken, else the first; all are
    checked. What the alert is silent about stays unset in the result's ``model_fields_set``.

    Raises `CapError`, in one line with its line number, for bytes that aren't XML, aren't a valid alert, or are one
    that Muster never acts on (status System or Draft, an Ack or an Error).
    """
    root = read_tree(data)
    name = etree.QName(root)
    version = VERSIONS.get(name.namespace or "")
    if version is None or name.localname != "alert":
        raise CapError(
            line_of(root),
            name.localname,
            f"in the namespace {shown(name.namespace or '')} is no CAP alert",
            f"send an <alert> in one of {', '.join(VERSIONS)}",
        )
    alert = Part(root, "alert", version)
    values = _alert(alert)
    infos = [_info(Part(element, "info", version)) for element in alert.elements("info")]
    _refuse(alert, values)
    if infos:
        values |= next((info for info in infos if info["language"].lower().split("-")[0] == "en"), infos[0])
    try:
        return ReportIn(**values, reported_at=reported_at)
    except ValidationError as error:
        raise CapError(line_of(root), "alert", f"can't be taken: {explain(error)}", "correct it") from None


def _alert(part: Part) -> dict[str, Any]:
    identity = AlertIdentity(
        sender=_name(part, "sender"), identifier=_name(part, "identifier"), sent=_required_time(part, "sent")
    )
    values: dict[str, Any] = {
        "status": Status(part.required("status", SHORT)),
        "message_type": MessageType(part.required("msgType", SHORT)),
        "reported_by": identity.sender,
        "alert": identity,
    }
    scope = part.text("scope", SHORT)
    for needed_by, name in (("Restricted", "restriction"), ("Private", "addresses")):
        if part.text(name, MAX_TEXT) is None and scope == needed_by:
            raise part.error(part.first("scope"), f"is {needed_by}, and there is no <{name}>", "add it")
    references = part.text("references", MAX_TEXT)
    if references is not None:
        values["references"] = tuple(_references(part, references))
    elif values["message_type"] is not MessageType.ALERT:
        problem = f"must name the alerts that this {values['message_type']} is about"
        raise CapError(
            line_of(part.first("references")),
            "references",
            problem,
            f"write sender,identifier,sent of each ({part.version.cite('alert')})",
        )
    return values


def _refuse(part: Part, values: dict[str, Any]) -> None:
    if values["status"] in NOT_ACTED_ON:
        raise part.error(part.first("status"), f"is {values['status']}, {NOT_ACTED_ON[values['status']]}", _STATUSES)
    if values["message_type"] in NOT_ASKED:
        raise part.error(
            part.first("msgType"), f"is {values['message_type']}, {NOT_ASKED[values['message_type']]}", _TYPES
        )


_STATUSES = "Muster takes Actual, Exercise and Test"
_TYPES = "Muster takes Alert, Update and Cancel"


def _name(part: Part, name: str) -> str:
    said = part.required(name, SHORT)
    if _UNSAFE.search(said):
        raise part.error(part.first(name), f"is {shown(said)}", "leave out spaces, commas, < and &")
    return said


def _references(part: Part, text: str) -> Iterator[AlertIdentity]:
    element = part.first("references")
    for reference in text.split():
        fields = reference.split(",")
        if len(fields) != 3 or not all(fields):
            raise part.error(element, f"holds {shown(reference)}", "write sender,identifier,sent with spaces between")
        sender, identifier, sent = fields
        if max(len(sender), len(identifier)) > SHORT:
            raise part.error(element, f"holds {shown(reference)}", f"keep each name within {SHORT} characters")
        yield AlertIdentity(sender=sender, identifier=identifier, sent=_read_time(part, element, sent))


def _info(part: Part) -> dict[str, Any]:
    values: dict[str, Any] = {
        "language": _language(part),
        "event": part.required("event", SHORT),
        "urgency": part.required("urgency", SHORT),
        "severity": part.required("severity", SHORT),
        # CAP 1.1, 3.2.2: the "Very Likely" of CAP 1.0 is to be read as "Likely".
        "certainty": part.required("certainty", SHORT).removeprefix("Very "),
    }
    _time(part, "effective")
    optional = {
        "categories": tuple(dict.fromkeys(part.read(element, SHORT) for element in part.elements("category"))),
        "occurred_at": _time(part, "onset"),
        "expires_at": _time(part, "expires"),
        "headline": part.text("headline", MAX_TEXT),
        "description": part.text("description", MAX_TEXT),
        "instruction": part.text("instruction", MAX_TEXT),
        "event_codes": _codes(part, "eventCode"),
        "parameters": {name: ", ".join(said) for name, said in _codes(part, "parameter").items()},
        "areas": tuple(_area(Part(element, "area", part.version)) for element in part.elements("area")),
    }
    for element in part.elements("resource"):
        _check_resource(Part(element, "resource", part.version))
    return values | {name: value for name, value in optional.items() if value}


def _language(part: Part) -> str:
    said = part.text("language", SHORT) or DEFAULT_LANGUAGE
    if not _LANGUAGE.fullmatch(said):
        raise part.error(part.first("language"), f"is {shown(said)}", "write a code like en-US (RFC 3066)")
    return said


def _area(part: Part) -> Area:
    polygons = tuple(check_polygon(part, element) for element in part.elements("polygon"))
    circles = tuple(check_circle(part, element) for element in part.elements("circle"))
    if part.version.name != "1.0":
        for name in ("altitude", "ceiling"):
            height = part.text(name, SHORT)
            if height is not None and not _DECIMAL.fullmatch(height):
                raise part.error(part.first(name), f"is {shown(height)}", "write feet above sea level as a number")
    return Area(
        description=part.required("areaDesc", MAX_TEXT),
        geocodes=_codes(part, "geocode"),
        polygons=polygons,
        circles=circles,
    )


def _check_resource(part: Part) -> None:
    part.text("resourceDesc", MAX_TEXT)
    part.text("mimeType", SHORT)
    size = part.text("size", SHORT)
    if size is not None and not re.fullmatch(r"[-+]?\d+", size):
        raise part.error(part.first("size"), f"is {shown(size)}", "write a whole number of bytes")


def _codes(part: Part, name: str) -> dict[str, tuple[str, ...]]:
    """Read names with their values. Where one name has several, all are kept; an empty value says nothing."""
    codes: dict[str, list[str]] = {}
    for element in part.elements(name):
        key, value = _pair(part, element, name)
        if value and value not in codes.setdefault(key, []):
            codes[key].append(value)
    return {key: tuple(values) for key, values in codes.items() if values}


def _pair(part: Part, element: etree._Element, name: str) -> tuple[str, str]:
    if part.version.text_pairs:
        key, equals, value = part.read(element, MAX_TEXT).partition("=")
        if not equals or not key.strip():
            raise part.error(element, "has no name", "write name=value")
        return key.strip(), value.strip()
    pair = Part(element, name, part.version)
    return pair.required("valueName", SHORT), pair.read(pair.first("value"), MAX_TEXT)


def _required_time(part: Part, name: str) -> datetime:
    return _read_time(part, part.first(name), part.required(name, SHORT))


def _time(part: Part, name: str) -> datetime | None:
    said = part.text(name, SHORT)
    return None if said is None else _read_time(part, part.first(name), said)


def _read_time(part: Part, element: etree._Element, said: str) -> datetime:
    """Read a time as CAP 1.2, 3.3.2 writes it; ``-00:00`` means UTC."""
    shape = _TIME_1_0 if part.version.zulu else _TIME
    try:
        time = datetime.fromisoformat(said) if shape.fullmatch(said) and said.isascii() else None
    except ValueError:
        time = None
    if time is None:
        raise part.error(
            element, f"holds the time {shown(said)}", "write it with its offset, like 2026-05-24T16:49:00-07:00"
        )
    if time.year not in _YEARS:
        raise part.error(element, f"holds the year {time.year}", f"stay within {_YEARS[0]} and {_YEARS[-1]}")
    return time
