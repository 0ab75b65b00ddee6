"""The result as a picture: bars with their spread, as SVG that reads on light and on dark pages."""

from collections.abc import Iterable, Sequence
from html import escape

from services.bench.figures import Row, short

_WIDTH, _LEFT, _BAR, _GAP = 760, 200, 18, 8
_COLOURS = {"floor": "#8a8f98", "muster": "#c2410c"}
_OTHER = "#6d8ab0"
_SCENARIOS = (
    ("steady", "peers", "Incidents a second, six orders each"),
    ("acknowledgements", None, "Answers a second"),
)


def chart(rows: Sequence[Row], about: str) -> str:
    """Draw the throughputs of a run; ``about`` says what it was run on."""
    parts: list[str] = []
    y = 34
    for first, second, title in _SCENARIOS:
        shown = [row for row in rows if row.scenario in {first, second} and row.of is None]
        if not shown:
            continue
        parts.append(f'<text x="0" y="{y}" font-weight="600">{escape(title)}</text>')
        y += 14
        most = max(row.figure.high for row in shown)
        for row in sorted(shown, key=lambda row: -row.figure.median):
            parts += _bar(row, y, most)
            y += _BAR + _GAP
        y += 22
    body = "\n".join([f'<text x="0" y="14" opacity="0.75">{escape(about)}</text>', *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}"'
        f' font-family="system-ui, sans-serif" font-size="13" fill="#7a7f87" role="img">\n{body}\n</svg>\n'
    )


def _bar(row: Row, y: int, most: float) -> Iterable[str]:
    room = _WIDTH - _LEFT - 150

    def along(value: float) -> float:
        return round(_LEFT + room * value / most, 1)

    name = row.title.rpartition(", ")[2]
    middle = y + _BAR / 2
    yield f'<text x="{_LEFT - 10}" y="{y + 14}" text-anchor="end">{escape(name)}</text>'
    length = round(along(row.figure.median) - _LEFT, 1)
    yield f'<rect x="{_LEFT}" y="{y}" width="{length}" height="{_BAR}" rx="2" fill="{_COLOURS.get(name, _OTHER)}"/>'
    low, high = along(row.figure.low), along(row.figure.high)
    yield f'<path d="M{low} {middle}H{high}M{low} {y + 5}v8M{high} {y + 5}v8" stroke="#3f434a" fill="none"/>'
    yield f'<text x="{max(high, along(row.figure.median)) + 8}" y="{y + 14}">{short(row.figure.median)}</text>'
