"""The two shapes of an alert's area in WGS 84 (CAP 1.2, 3.2.4 and 3.3.1)."""

import re

from lxml import etree

from schemas.incident import MAX_TEXT
from services.intake.cap_error import shown
from services.intake.cap_grammar import Part

_NUMBER = re.compile(r"[-+]?(\d{1,18}(\.\d*)?|\.\d+)", re.ASCII)
_CIRCLE = 500
"""Longest circle, in characters."""
_SMALLEST_POLYGON = 4
"""Fewest pairs: three corners, and the first again."""


def check_polygon(part: Part, element: etree._Element) -> str:
    """Check a polygon, ``lat,lon`` pairs with space between, and give its text back with single spaces."""
    pairs = part.read(element, MAX_TEXT).split()
    for pair in pairs:
        _check_point(part, element, pair)
    if len(pairs) < _SMALLEST_POLYGON:
        raise part.error(element, f"has {len(pairs)} points", f"give at least {_SMALLEST_POLYGON}")
    first, last = (tuple(map(float, pair.split(","))) for pair in (pairs[0], pairs[-1]))
    if first != last:
        raise part.error(element, f"begins at {pairs[0]} and ends at {pairs[-1]}", "end where it begins")
    return " ".join(pairs)


def check_circle(part: Part, element: etree._Element) -> str:
    """Check a circle, ``lat,lon radius`` with the radius in kilometres, and give its text back."""
    words = part.read(element, _CIRCLE).split()
    if len(words) != 2:
        raise part.error(element, f"is {shown(' '.join(words))}", "write a point, a space and a radius in km")
    point, radius = words
    _check_point(part, element, point)
    if not _NUMBER.fullmatch(radius) or float(radius) < 0:
        raise part.error(element, f"has the radius {shown(radius)}", "write kilometres, 0 or more")
    return f"{point} {radius}"


def _check_point(part: Part, element: etree._Element, point: str) -> None:
    numbers = point.split(",")
    if len(numbers) != 2 or not all(_NUMBER.fullmatch(number) for number in numbers):
        raise part.error(element, f"holds {shown(point)}", "write each point as latitude,longitude in degrees")
    latitude, longitude = map(float, numbers)
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise part.error(
            element, f"holds {shown(point)}", "keep the latitude within 90 degrees, the longitude within 180"
        )
