"""The items of AQ/T 9009-2015 that a record can measure, each with the timeline entries that decide it.

Worded after the standard's tables for live exercises (warning and information reporting; emergency mobilization).
An item is filled in only from what the record shows; the standard's other items are an evaluator's to judge.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from schemas.base import Text
from schemas.drill import Segment
from schemas.timeline import Entry
from services.domain.incident import Deadline
from services.drills.evidence import Check, Trail, received_at, verdict_of
from services.drills.report import Bar, Moment, Report, Verdict

STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Item:
    """One measurable item: how it is judged, the verdict, what decides it, and what an evaluator should know."""

    id: str
    title: Text
    rule: Text
    verdict: Verdict
    checks: tuple[Check, ...]
    remark: Text | None = None


def measure(report: Report) -> tuple[Item, ...]:
    """Fill in every measurable item for one drill."""
    trail = Trail(report)
    items = []
    for id_, (title, rule, look) in _ITEMS.items():
        checks = tuple(sorted(look(report, trail), key=lambda check: (check.ok, check.moment.at, check.moment.id)))
        items.append(Item(id_, title, rule, verdict_of(checks), checks, _remark(id_, report, trail)))
    return tuple(items)


def _remark(id_: str, report: Report, trail: Trail) -> Text | None:
    if id_ == "unannounced" and report.drill.document.announced:
        return Text(en="The drill was announced beforehand.", zh="本次演练已预先通知。")
    if id_ == "started-by-commander":
        automatic = sum(moment.by is None for moment in trail.all(Entry.ACTIVATED))
        if automatic:
            return Text(
                en=f"{automatic} activation(s) came from the plan's own standing authority; no person decided them."
                " Whether that is the commander's delegation is for the evaluator to say.",
                zh=f"有{automatic}次启动依据预案的自动启动授权，无人工决定；是否视为总指挥授权，由评估人员判定。",
            )
    return None


def _internal_notice(report: Report, trail: Trail) -> Iterator[Check]:
    target = report.drill.document.targets.alarm_handling
    for each in report.observed.found:
        first = trail.first(each.incident_id, Entry.ISSUED)
        if each.segment is Segment.ALARM_HANDLING and target is not None and each.took is not None and first:
            yield Check(first, each.took <= target, Text(en="first order of the incident", zh="该事件首个任务"))
    for bar in report.bars:
        by, at = bar.deadlines.get(Deadline.ACKNOWLEDGE), received_at(bar)
        issued = trail.of(bar.id, Entry.ISSUED)
        if by is None or issued is None or (at is None and bar.ended_at < by):
            continue
        reached = trail.of(bar.id, Entry.DELIVERED) or trail.answer(bar) or issued
        yield Check(reached if at is not None else issued, at is not None and at <= by)


def _reported_upward(report: Report, trail: Trail) -> Iterator[Check]:
    digests = {response.id: response.digest for response in report.responses}
    asked: dict[tuple[UUID, str], list[Bar]] = {}
    for bar in report.bars:
        document = report.documents.get(digests.get(bar.activation_id, ""), {})
        if any(rule["id"] == bar.task for rule in document.get("reports") or ()):
            asked.setdefault((bar.activation_id, bar.task), []).append(bar)
    for bars in asked.values():
        done = [bar for bar in bars if bar.completed_at is not None]
        due = min(
            (bar.deadlines[Deadline.COMPLETE] for bar in bars if Deadline.COMPLETE in bar.deadlines), default=None
        )
        if done:
            first = min(done, key=lambda bar: bar.completed_at or report.ended_at)
            moment = trail.of(first.id, Entry.COMPLETED)
            in_time = due is None or (first.completed_at is not None and first.completed_at <= due)
            if moment is not None:
                yield Check(moment, in_time)
        elif due is not None and due <= report.ended_at:
            late = trail.missed(bars[0], Deadline.COMPLETE) or trail.of(bars[0].id, Entry.ISSUED)
            if late is not None:
                yield Check(late, ok=False)


def _graded(report: Report, trail: Trail) -> Iterator[Check]:
    target = report.drill.document.targets.alarm_handling
    changed = trail.all(Entry.LEVEL_CHANGED)
    for moment in trail.all(Entry.ACTIVATED):
        reported = trail.first(moment.incident_id, Entry.REPORTED)
        in_time = target is None or reported is None or moment.at - reported.at <= target
        yield Check(moment, in_time and bool(moment.detail.get("level")), _level(moment))
    for moment in changed:
        yield Check(moment, ok=True, note=_level(moment))
    for moment in trail.all(Entry.LEVEL_SUGGESTED):
        followed = any(
            later.activation_id == moment.activation_id
            and later.at >= moment.at
            and later.detail.get("level") == moment.detail.get("level")
            for later in changed
        )
        yield Check(moment, followed, _level(moment))
    for moment in trail.all(Entry.NO_PLAN, Entry.CONFIRMATION_OVERDUE):
        yield Check(moment, ok=False)


def _level(moment: Moment) -> Text:
    level = moment.detail.get("level") or "–"
    return Text(en=f"level {level}", zh=f"{level}级")


def _range(report: Report, trail: Trail) -> Iterator[Check]:
    digests = {response.id: response.digest for response in report.responses}
    issued: dict[tuple[UUID | None, str], Moment] = {}
    for moment in trail.all(Entry.ISSUED):
        issued.setdefault((moment.activation_id, str(moment.detail.get("task"))), moment)
    seen: set[tuple[UUID | None, str]] = set()
    for moment in trail.all(Entry.ACTIVATED, Entry.LEVEL_CHANGED, Entry.STANDBY):
        level = STANDBY if moment.entry is Entry.STANDBY else moment.detail.get("level")
        document = report.documents.get(digests.get(moment.activation_id, "") if moment.activation_id else "", {})
        for task in (*(document.get("tasks") or ()), *(document.get("reports") or ())):
            key = (moment.activation_id, task["id"])
            if key in seen or task.get("after") or task.get("when") or not _asked_at(task.get("levels"), level):
                continue
            seen.add(key)
            title = Text.model_validate(task["title"])
            yield Check(issued[key], ok=True, note=title) if key in issued else Check(moment, ok=False, note=title)
    for moment in trail.all(Entry.UNFILLED):
        yield Check(moment, ok=False, note=moment.task)


def _asked_at(levels: list[str] | None, level: object) -> bool:
    return level != STANDBY if levels is None else level in levels


def _started_by(_: Report, trail: Trail) -> Iterator[Check]:
    for moment in trail.all(Entry.ACTIVATED):
        if moment.by is not None:
            yield Check(moment, ok=True, note=Text(en=f"by {moment.by}", zh=f"决定人：{moment.by}"))
    for moment in trail.all(Entry.CONFIRMATION_OVERDUE):
        yield Check(moment, ok=False)


def _unannounced(report: Report, trail: Trail) -> Iterator[Check]:
    if report.drill.document.announced:
        return
    seen: set[str] = set()
    for bar in report.bars:
        by = bar.deadlines.get(Deadline.ACKNOWLEDGE)
        answer = trail.answer(bar)
        shown = answer or trail.silence(bar.id)
        judged = answer is not None or bar.never_answered
        if bar.department not in seen and by is not None and judged and shown is not None:
            seen.add(bar.department)
            yield Check(shown, answer is not None and answer.at <= by)


def _deputies(report: Report, trail: Trail) -> Iterator[Check]:
    posts: dict[tuple[UUID, str], list[Bar]] = {}
    for bar in report.bars:
        posts.setdefault((bar.activation_id, bar.task), []).append(bar)
    for bars in posts.values():
        dropped = [bar for bar in bars if bar.declined_at or bar.failed_at or bar.never_answered]
        for bar in dropped:
            heirs = [each for each in bars if each.issued_at >= bar.issued_at and each not in dropped]
            taken = [moment for each in heirs if (moment := trail.of(each.id, Entry.COMMITTED, Entry.STARTED))]
            lost = trail.of(bar.id, Entry.DECLINED, Entry.FAILED) or trail.silence(bar.id)
            note = Text(
                en=f"in place of {report.titles.department(bar.department).en}",
                zh=f"接替{report.titles.department(bar.department).zh}",
            )
            if taken:
                yield Check(min(taken, key=lambda moment: moment.at), ok=True, note=note)
            elif lost is not None:
                yield Check(lost, ok=False)


_ITEMS: dict[str, tuple[Text, Text, Callable[[Report, Trail], Iterator[Check]]]] = {
    "internal-notice": (
        Text(en="Internal notice is given in time", zh="内部信息通报及时"),
        Text(
            en="Each incident's first order goes out within the alarm-handling target, and each order reaches its"
            " department before its time to answer is over.",
            zh="各事件首个任务在接处警目标时间内下达，各项任务在应答时限前送达责任单位。",
        ),
        _internal_notice,
    ),
    "report-to-superiors": (
        Text(en="Superiors are reported to within the set time", zh="在规定时间内向上级报告"),
        Text(
            en="Each report that the plan asks for is completed within its legal time.",
            zh="预案要求的各项上报在法定时限内完成。",
        ),
        _reported_upward,
    ),
    "level": (
        Text(en="The level is graded and started correctly", zh="准确判定事故等级并启动相应响应"),
        Text(
            en="Each activation and change carries the level that the plan's conditions give, in time; what they"
            " suggest later is followed; no report is left without a plan or a decision.",
            zh="每次启动与调级均按预案条件确定级别且及时；后续建议级别得到落实；无事件缺少匹配预案或决定。",
        ),
        _graded,
    ),
    "range": (
        Text(en="The right range is warned, notified and mobilized", zh="按级别警告、通知和动员相应范围人员"),
        Text(
            en="Every task and report that the plan asks for at the level, without a condition of its own, was given"
            " to somebody, and none was left without anybody to call.",
            zh="预案在该级别无条件要求的各项任务和上报均已下达，且无任务缺少承担单位。",
        ),
        _range,
    ),
    "started-by-commander": (
        Text(en="The commander or a delegate starts the response", zh="由总指挥或其授权人员启动应急响应"),
        Text(
            en="A named person started it, and no plan waited for a decision beyond its time.",
            zh="由记名人员启动，且无预案超时等待启动决定。",
        ),
        _started_by,
    ),
    "unannounced": (
        Text(en="An unannounced drill is coped with", zh="能够适应事先不通知的突袭抽查式演练"),
        Text(
            en="In an unannounced drill each department answers the first order it is judged by within its time.",
            zh="不预先通知的演练中，各单位在时限内应答首个计入评判的任务。",
        ),
        _unannounced,
    ),
    "deputies": (
        Text(en="Deputies stand in for key posts", zh="关键岗位有人替补"),
        Text(
            en="Where a department declined, failed or stayed silent, another one took the task on.",
            zh="单位拒绝、未能完成或无应答时，由替补单位承担该任务。",
        ),
        _deputies,
    ),
}
