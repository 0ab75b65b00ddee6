"""The review on a terminal: the timeline, a Gantt of characters, and what the evaluation found."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text as Styled

from schemas.base import Text
from schemas.timeline import Entry
from services.domain.incident import Deadline
from services.drills.report import Bar, Moment, Report, Verdict
from services.drills.words import ENTRIES, NONE_YET, VERDICTS, cut, offset

STYLES = {
    Verdict.MET: "green",
    Verdict.PARTLY_MET: "yellow",
    Verdict.NOT_MET: "red",
    Verdict.NOT_OBSERVED: "dim",
}
QUIET = frozenset({Entry.DELIVERED, Entry.ACKNOWLEDGED, Entry.PROGRESSED, Entry.SUPERSEDED})
"""Entries left out on the terminal; HTML, PDF and JSON have all."""
LABEL, SMALLEST = 30, 20
"""Columns for the names beside the Gantt, and the fewest that it is drawn in."""
WIDEST = 100
SHOWN = 3
"""Times of entries beside a finding at most."""


def verdict(value: Verdict, language: str) -> Styled:
    """Write a verdict in its colour."""
    return Styled(say(VERDICTS[value.value], language), style=STYLES[value])


def say(text: Text, language: str) -> str:
    """Choose one language of a text."""
    return str(getattr(text, language))


def print_timeline(report: Report, console: Console, language: str) -> None:
    """Print the entries that matter, one line each; a corrected time has the recorded one beside it."""
    start = report.drill.started_at
    console.print(_head("Timeline", "时间线", language))
    for moment in report.timeline:
        if moment.entry in QUIET and not moment.corrections:
            continue
        words = [say(ENTRIES[moment.entry], language), *_about(report, moment, language)]
        line = Styled.from_markup(f"[dim]{offset(moment.at, start)}[/] {escape(' · '.join(words))}")
        if moment.at != moment.recorded_as:
            was = {"en": "recorded as", "zh": "原记录"}[language]
            line.append(f" ({was} {offset(moment.recorded_as, start)})", style="yellow")
        for correction in moment.corrections:
            line.append(f" [{correction.by}: {correction.note or correction.reason}]", style="yellow")
        line.overflow = "fold"
        console.print(line)
    print_cut(report, "timeline", console, language)


def print_cut(report: Report, name: str, console: Console, language: str) -> None:
    """Say where a list was cut, if it was."""
    told = cut(report)
    if name in told:
        console.print(Styled(say(told[name], language), style="yellow"))


def _about(report: Report, moment: Moment, language: str) -> Iterator[str]:
    if moment.department:
        yield say(report.titles.department(moment.department), language)
    if moment.task:
        yield say(moment.task, language)
    if moment.detail.get("level") and not moment.department:
        yield str(moment.detail["level"])


def print_gantt(report: Report, console: Console, language: str) -> None:
    """Draw every order: waiting, taken on, at work; ``|`` is the deadline it had to be done by, ``!`` a missed one."""
    width = max(SMALLEST, min(WIDEST, console.width - LABEL - 2))
    key = {
        "en": "░ waits  ▒ taken on  █ at work  ─ planned  | due  ! missed  × declined",
        "zh": "░ 等待应答  ▒ 已承担  █ 执行中  ─ 计划  | 时限  ! 超时  × 拒绝",
    }
    console.print(_head("Planned and actual by department", "各单位计划与实际", language))
    console.print(Styled(key[language], style="dim"))
    for department in report.departments:
        console.print(Styled(say(department.title, language), style="bold"))
        for bar in (each for each in report.bars if each.department == department.id):
            label = Styled(f"  {say(bar.title, language)}")
            label.truncate(LABEL, overflow="ellipsis", pad=True)
            # An ellipsis of ours: the table's width is the drawing's, not the name's.
            line = Styled.assemble(Styled(label.plain.replace("…", ".")), " ", _drawn(bar, report, width))
            line.no_wrap = True
            console.print(line)
    print_cut(report, "assignments", console, language)


def _drawn(bar: Bar, report: Report, width: int) -> Styled:
    cells = [" "] * width
    start, duration = report.drill.started_at, max(report.duration, timedelta(seconds=1))

    def column(at: datetime) -> int:
        return min(max(int((at - start) / duration * width), 0), width - 1)

    def fill(begin: datetime, end: datetime, sign: str) -> None:
        for place in range(column(begin), column(end) + 1):
            cells[place] = sign

    planned = max(bar.deadlines.values(), default=bar.ended_at)
    fill(bar.issued_at, min(planned, report.ended_at), "─")
    answered = min((at for at in (bar.committed_at, bar.started_at, bar.declined_at) if at), default=bar.ended_at)
    fill(bar.issued_at, answered, "░")
    if bar.committed_at or bar.started_at:
        done = bar.completed_at or bar.ended_at
        fill(answered, bar.started_at or done, "▒")
        if bar.started_at:
            fill(bar.started_at, done, "█")
    for deadline in Deadline:
        by = bar.deadlines.get(deadline)
        if by is not None and by <= report.ended_at:
            cells[column(by)] = "!" if deadline in bar.missed else "|"
    if bar.declined_at:
        cells[column(bar.declined_at)] = "×"
    return Styled("".join(cells).rstrip(), style="red" if bar.never_answered else "")


def print_review(report: Report, console: Console, language: str) -> None:
    """Print the measurable items, strengths, gaps, and the improvement items on record."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), show_header=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    evaluation = report.evaluation
    for item in evaluation.items:
        counted = f" {item.checks.held}/{item.checks.total}" if item.checks.total else ""
        table.add_row(say(item.title, language), verdict(item.verdict, language).append(counted))
    console.print()
    console.print(_head("Measurable items of AQ/T 9009-2015", "AQ/T 9009-2015 可测评项目", language))
    console.print(table)
    for en, zh, findings in (("Strengths", "优点", evaluation.strengths), ("Gaps", "不足", evaluation.gaps)):
        console.print()
        console.print(_head(en, zh, language))
        for finding in findings:
            times = ", ".join(offset(each.at, report.drill.started_at) for each in finding.evidence[:SHOWN])
            line = Styled(say(finding.text, language))
            line.append(f"  {times}", style="dim")
            console.print(Padding(line, (0, 0, 0, 2)))
        if not findings:
            console.print(f"  {NONE_YET}")
    console.print()
    console.print(_head("Improvement items", "整改项", language))
    if report.improvements:
        state = {True: Text(en="open", zh="未关闭"), False: Text(en="closed", zh="已关闭")}
        for owed in report.improvements:
            due = f"{owed.due:%F}" if owed.due else NONE_YET
            words = (say(owed.title, language), owed.owner or NONE_YET, due, say(state[owed.is_open], language))
            console.print(Padding(" · ".join(words), (0, 0, 0, 2)))
    else:
        hint = {
            "en": "None on record; `muster drill improvements propose` puts what the gaps call for on it.",
            "zh": "尚无记录；可用 `muster drill improvements propose` 根据不足生成。",
        }
        console.print(Styled(f"  {hint[language]}", style="dim"))


def _head(en: str, zh: str, language: str) -> Styled:
    return Styled({"en": en, "zh": zh}[language], style="bold")
