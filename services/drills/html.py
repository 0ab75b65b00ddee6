"""The report as one HTML file in both languages: no script, no font, no picture, nothing from anywhere else.

The language is chosen with two radio buttons and CSS, so that both versions travel in one file and can't differ in
a number; without CSS, both are read one after the other.
"""

from datetime import datetime, timedelta

from jinja2 import Environment, PackageLoader, StrictUndefined

from schemas.base import Text
from services.domain.segments import BOUND_NEEDS, NEEDS
from services.drills import gantt, words
from services.drills.report import Report, Verdict
from services.drills.scenario import MARK
from services.drills.table import found, wanted

_ENVIRONMENT = Environment(
    loader=PackageLoader("services.drills"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"span": words.span, "share": words.share}


def render(report: Report) -> str:
    """Write the report; every text that came from a file or the record is escaped."""
    drill = report.drill
    started_at = drill.started_at

    def offset(at: datetime) -> str:
        seconds = round((at - started_at).total_seconds())
        sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
        hours, minutes = divmod(seconds // 60, 60)
        return f"T+{sign}{hours}:{minutes:02}:{seconds % 60:02}"

    known = _translations(report)
    return _ENVIRONMENT.get_template("report.html.j2").render(
        report=report,
        drill=drill,
        document=drill.document,
        chart=gantt.draw(report),
        gantt=gantt,
        words=words,
        offset=offset,
        quantile=words.quantile,
        needs=NEEDS,
        bound_needs=BOUND_NEEDS,
        wanted=wanted,
        found=found,
        said=lambda reason: known.get(reason) or Text(en=reason, zh=reason),
        met=sum(row.verdict is Verdict.MET for row in report.objectives),
        wall=report.duration / drill.speed,
        second=timedelta(seconds=drill.speed),
        mobilization=next(row for row in report.segments if row.segment.value == "mobilization"),
    )


def _translations(report: Report) -> dict[str, Text]:
    """Give the scenario's own texts by their English, in which they went over the wire."""
    texts: list[Text] = []
    for rule in report.drill.document.participants:
        texts += [text for text in (rule.declines_because, rule.blocked.obstacle if rule.blocked else None) if text]
    for inject in report.drill.document.injects:
        headline = (inject.report.headline if inject.report else None) or inject.says
        if headline is not None:
            texts.append(Text(en=MARK.en + headline.en, zh=MARK.zh + headline.zh))
    return {text.en: text for text in texts}
