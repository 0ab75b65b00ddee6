"""Strengths and gaps that a drill's record shows, and the improvement items to propose for the gaps."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.base import Text
from schemas.drill import Criterion
from schemas.timeline import Entry
from services.domain.incident import Deadline
from services.drills.evidence import Trail
from services.drills.improvements import Proposal
from services.drills.measured import Item
from services.drills.report import DepartmentRow, Moment, Report, Verdict

SHOWN = 12
"""Entries that a finding points to at most."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A strength or a gap. ``key`` names it, the same for the same drill whenever the report is made."""

    key: str
    text: Text
    evidence: tuple[Moment, ...]
    proposal: Proposal | None = None


def strengths(report: Report, items: tuple[Item, ...]) -> tuple[Finding, ...]:
    """List what went as it should."""
    return tuple(_strengths(report, Trail(report), items))


def gaps(report: Report, items: tuple[Item, ...]) -> tuple[Finding, ...]:
    """List what did not, each with the improvement item that it calls for."""
    trail = Trail(report)
    return (*_objective_gaps(report, trail), *_item_gaps(report, items), *_department_gaps(report, trail))


def _strengths(report: Report, trail: Trail, items: tuple[Item, ...]) -> Iterator[Finding]:
    for row in report.objectives:
        if row.verdict is Verdict.MET:
            yield Finding(f"objective:{row.rule.id}", row.rule.title, _proof(trail, row.rule.criterion))
    for item in items:
        if item.verdict is Verdict.MET:
            yield Finding(f"item:{item.id}", item.title, tuple(check.moment for check in item.checks)[:SHOWN])
    quick = [row for row in report.departments if row.turnout.n and row.turnout.within_target == 1.0]
    if quick:
        text = Text(
            en=f"Within the turnout target every time: {', '.join(row.title.en for row in quick)}",
            zh=f"历次出动准备均在目标时间内：{'、'.join(row.title.zh for row in quick)}",
        )
        ids = {row.id for row in quick}
        moments = [trail.answer(bar) for bar in report.bars if bar.department in ids]
        yield Finding("turnout", text, tuple(each for each in moments if each)[:SHOWN])


def _proof(trail: Trail, criterion: Criterion, *, ok: bool = True) -> tuple[Moment, ...]:
    return tuple(check.moment for check in trail.objective(criterion) if check.ok is ok)[:SHOWN]


def _objective_gaps(report: Report, trail: Trail) -> Iterator[Finding]:
    owner = _plan_owner(report)
    for row in report.objectives:
        if row.verdict in {Verdict.NOT_MET, Verdict.PARTLY_MET}:
            key, title = f"objective:{row.rule.id}", row.rule.title
            partly = row.verdict is Verdict.PARTLY_MET
            text = Text(
                en=f"Objective {'only partly' if partly else 'not'} met: {title.en}",
                zh=f"目标{'仅部分达到' if partly else '未达到'}：{title.zh}",
            )
            better = Text(
                en=f"Find out why this was not reached, and exercise it again: {title.en}",
                zh=f"查明未达到的原因并再次演练：{title.zh}",
            )
            yield Finding(key, text, _proof(trail, row.rule.criterion, ok=False), Proposal(key, better, owner))


def _item_gaps(report: Report, items: tuple[Item, ...]) -> Iterator[Finding]:
    owner = _plan_owner(report)
    for item in items:
        if item.verdict in {Verdict.NOT_MET, Verdict.PARTLY_MET}:
            key = f"item:{item.id}"
            failed = tuple(check.moment for check in item.checks if not check.ok)
            text = Text(
                en=f"Shown in only {len(item.checks) - len(failed)} of {len(item.checks)} cases: {item.title.en}",
                zh=f"{len(item.checks)}项中仅{len(item.checks) - len(failed)}项做到：{item.title.zh}",
            )
            better = Text(en=f"Bring into order: {item.title.en}", zh=f"整改：{item.title.zh}")
            yield Finding(key, text, failed[:SHOWN], Proposal(key, better, owner))


def _department_gaps(report: Report, trail: Trail) -> Iterator[Finding]:
    for row in report.departments:
        yield from _silence(report, trail, row)
        yield from _lateness(report, trail, row)
    for moment in trail.all(Entry.UNFILLED):
        task = moment.task or Text(en="–", zh="–")
        key = f"unfilled:{moment.detail.get('task')}"
        text = Text(en=f"Nobody was left to call for «{task.en}»", zh=f"“{task.zh}”已无可替补单位")
        better = Text(en=f"Name a further deputy for «{task.en}»", zh=f"为“{task.zh}”增设替补单位")
        yield Finding(key, text, (moment,), Proposal(key, better, _plan_owner(report)))
    seen: set[str] = set()
    for moment in trail.all(Entry.BLOCKED):
        task = moment.task or Text(en="–", zh="–")
        department = moment.department or "–"
        key = f"obstacle:{department}:{moment.detail.get('task')}"
        name = report.titles.department(department)
        text = Text(en=f"{name.en} was held up in «{task.en}»", zh=f"{name.zh}执行“{task.zh}”受阻")
        better = Text(
            en=f"Provide beforehand for what held {name.en} up in «{task.en}»",
            zh=f"预先解决{name.zh}执行“{task.zh}”时的受阻问题",
        )
        if key not in seen:
            seen.add(key)
            yield Finding(key, text, (moment,), Proposal(key, better, department))


def _silence(report: Report, trail: Trail, row: DepartmentRow) -> Iterator[Finding]:
    for task in dict.fromkeys(bar.task for bar in report.never if bar.department == row.id):
        bars = [bar for bar in report.never if (bar.department, bar.task) == (row.id, task)]
        key, title = f"silent:{row.id}:{task}", bars[0].title
        received = any(bar.delivered_at is not None for bar in bars)
        text = Text(
            en=f"{row.title.en} {'received and never answered' if received else 'never received'} «{title.en}»",
            zh=f"{row.title.zh}{'收到但从未应答' if received else '从未收到'}“{title.zh}”",
        )
        better = (
            Text(
                en=f"{row.title.en}: man the duty desk so that orders are answered, and exercise the call-out",
                zh=f"{row.title.zh}：落实值班值守，确保任务有人应答，并演练紧急呼叫",
            )
            if received
            else Text(
                en=f"{row.title.en}: mend the line by which orders arrive, and check it every day",
                zh=f"{row.title.zh}：修复任务接收通道，并每日检查",
            )
        )
        moments = tuple(moment for bar in bars if (moment := trail.silence(bar.id)))
        yield Finding(key, text, moments, Proposal(key, better, row.id))


def _lateness(report: Report, trail: Trail, row: DepartmentRow) -> Iterator[Finding]:
    late = [bar for bar in report.bars if bar.department == row.id and bar.missed and not bar.never_answered]
    if late:
        key = f"late:{row.id}"
        text = Text(
            en=f"{row.title.en} missed deadlines of {len(late)} of its {row.orders} orders",
            zh=f"{row.title.zh}的{row.orders}项任务中有{len(late)}项曾超时",
        )
        better = Text(
            en=f"{row.title.en}: find out what kept it from its deadlines; change its means or the plan's times",
            zh=f"{row.title.zh}：查明超时原因，调整力量配备或预案时限",
        )
        moments = [trail.missed(bar, deadline) for bar in late for deadline in Deadline if deadline in bar.missed]
        shown = tuple(moment for moment in moments if moment is not None)[:SHOWN]
        yield Finding(key, text, shown, Proposal(key, better, row.id))


def _plan_owner(report: Report) -> str:
    """Name who owns the plan that was exercised: what concerns no single department is theirs."""
    for response in report.responses:
        owner = report.documents.get(response.digest, {}).get("owner")
        if owner:
            return str(owner)
    return report.departments[0].id if report.departments else "duty officer"
