"""The result as a picture: bars with their spread, as SVG that reads on light and on dark pages."""

from collections.abc import Iterable, Sequence
from html import escape

from services.bench.figures import Row, short

_WIDTH, _LEFT, _BAR, _GAP, _LINE = 760, 160, 20, 8, 18
_SCENARIOS = (
    ("steady", "peers", "Incidents a second, six orders each"),
    ("acknowledgements", None, "Answers a second"),
)
_TITLE = "How fast Muster is beside the floor and its peers"
_STYLE = """
text { fill: #24292f } .quiet { fill: #57606a; font-size: 12px }
.floor { fill: #8c959f } .muster { fill: #c2410c } .peer { fill: #6d8ab0 } .spread { stroke: #24292f; fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #9198a1 } .muster { fill: #ea580c } .spread { stroke: #e6edf3 }
}
"""


def chart(rows: Sequence[Row], about: str) -> str:
    """Draw the throughputs of a run; ``about`` says what it was run on."""
    parts: list[str] = []
    said: list[str] = []
    y = _LINE
    for first, second, title in _SCENARIOS:
        shown = [row for row in rows if row.scenario in {first, second} and row.of is None]
        if not shown:
            continue
        parts.append(f'<text x="0" y="{y}" font-size="15" font-weight="600">{escape(title)}</text>')
        said.append(f"{title}: " + ", ".join(f"{_name(row)} {short(row.figure.median)}" for row in shown) + ".")
        y += 14
        most = max(row.figure.high for row in shown)
        for row in sorted(shown, key=lambda row: -row.figure.median):
            parts += _bar(row, y, most)
            y += _BAR + _GAP
        y += 22
    notes = [f"{_name(row)}: {row.note}" for row in rows if row.note is not None]
    for text in [*notes, f"Medians, with the least and the most. {about}"]:
        parts.append(f'<text x="0" y="{y}" class="quiet">{escape(text)}</text>')
        y += _LINE
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}"'
        ' font-family="system-ui, sans-serif" font-size="13" role="img" aria-labelledby="title desc">\n'
        f'<title id="title">{_TITLE}</title>\n<desc id="desc">{escape(" ".join(said))}</desc>\n'
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


def _name(row: Row) -> str:
    return row.title.rpartition(", ")[2]


def _bar(row: Row, y: int, most: float) -> Iterable[str]:
    room = _WIDTH - _LEFT - 70

    def along(value: float) -> float:
        return round(_LEFT + room * value / most, 1)

    name = _name(row)
    middle, base = y + _BAR / 2, y + 15
    low, end, high = along(row.figure.low), along(row.figure.median), along(row.figure.high)
    yield f'<text x="{_LEFT - 10}" y="{base}" text-anchor="end">{escape(name)}</text>'
    kind = name if name in {"floor", "muster"} else "peer"
    yield f'<rect x="{_LEFT}" y="{y}" width="{round(end - _LEFT, 1)}" height="{_BAR}" rx="2" class="{kind}"/>'
    yield f'<path d="M{low} {middle}H{high}M{low} {y + 6}v8M{high} {y + 6}v8" class="spread"/>'
    yield f'<text x="{max(high, end) + 8}" y="{base}">{short(row.figure.median)}</text>'
