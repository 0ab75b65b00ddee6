"""The report as one HTML file in both languages: no script, no picture, nothing from anywhere else.

The language is chosen with two radio buttons and CSS, so that both versions travel in one file and can't differ in
a number; without CSS, both are read one after the other. The Chinese type it needs is in it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from jinja2 import Environment, PackageLoader, StrictUndefined

from schemas.base import Text
from services.domain.segments import BOUND_NEEDS, NEEDS
from services.drills import font, gantt, words
from services.drills.evaluation import RATINGS
from services.drills.record import Seat
from services.drills.report import Report, Verdict
from services.drills.scenario import MARK
from services.drills.table import found, wanted

ENVIRONMENT = Environment(
    loader=PackageLoader("services.drills"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters |= {"span": words.span, "share": words.share}


def render(report: Report, language: str = "en") -> str:
    """Write the report, opened at a language; every text that came from a file or the record is escaped."""
    drill = report.drill
    known = translations(report)

    def offset(at: datetime) -> str:
        return words.offset(at, drill.started_at)

    def write(type_: str) -> str:
        return ENVIRONMENT.get_template("report.html.j2").render(
            report=report,
            evaluation=report.evaluation,
            language=language,
            font=type_,
            ratings=RATINGS,
            drill=drill,
            document=drill.document,
            chart=gantt.draw(report),
            gantt=gantt,
            words=words,
            cut=words.cut(report),
            offset=offset,
            quantile=words.quantile,
            needs=NEEDS,
            bound_needs=BOUND_NEEDS,
            wanted=wanted,
            found=found,
            said=lambda reason: known.get(reason) or Text(en=reason, zh=reason),
            met=sum(row.verdict is Verdict.MET for row in report.objectives),
            real=any(seat in {Seat.REAL, Seat.MIXED} for seat in drill.seats.values()),
            corrections=len(report.corrected),
            wall=report.duration / drill.speed,
            second=timedelta(seconds=drill.speed),
            mobilization=next(row for row in report.segments if row.segment.value == "mobilization"),
        )

    # Written twice: which signs the type must have is known when the page is.
    return write(font.cut_to([write("")]))


def translations(report: Report) -> Mapping[str, Text]:
    """Give the scenario's own texts by their English, in which they went over the wire."""
    texts: list[Text] = []
    for rule in report.drill.document.participants:
        texts += [text for text in (rule.declines_because, rule.blocked.obstacle if rule.blocked else None) if text]
    for inject in report.drill.document.injects:
        texts += [text for text in (inject.because, inject.says) if text]
        headline = (inject.report.headline if inject.report else None) or inject.says
        if headline is not None:
            texts.append(Text(en=MARK.en + headline.en, zh=MARK.zh + headline.zh))
    return {text.en: text for text in texts}
