"""The items of AQ/T 9009-2015 that a record can measure, each with the timeline entries that decide it.

Worded after the standard's tables for live exercises (warning and information reporting; emergency mobilization).
An item is filled in only from what the record shows; the standard's other items are an evaluator's to judge.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from schemas.base import Text
from schemas.drill import Segment
from schemas.timeline import Entry
from services.domain.incident import Deadline
from services.drills.evidence import (
    AN_ANSWER,
    ANSWERED,
    COMPLETION,
    LOSS,
    RECEIPT,
    SILENCE,
    THE_ORDER,
    TURNED_OUT,
    TURNOUT,
    Checks,
    Look,
    Looks,
    Proofs,
    Trail,
    Wanted,
)
from services.drills.ledger import MICRO, silent
from services.drills.report import Moment, Verdict

STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Item:
    """One measurable item: how it is judged, what decides it, and what an evaluator should know."""

    id: str
    title: Text
    rule: Text
    checks: Checks
    remark: Text | None = None

    @property
    def verdict(self) -> Verdict:
        """Say how it went."""
        return self.checks.verdict


def look_at_items(trail: Trail) -> dict[str, Looks]:
    """Look at every measurable item of one drill."""
    return {id_: Looks.of(look(trail)) for id_, (_, _, look) in _ITEMS.items()}


def measure(trail: Trail, looks: Mapping[str, Looks], proofs: Proofs) -> tuple[Item, ...]:
    """Fill in every measurable item for one drill."""
    return tuple(
        Item(id_, title, rule, looks[id_].checks(proofs), _remark(id_, trail))
        for id_, (title, rule, _) in _ITEMS.items()
    )


def _remark(id_: str, trail: Trail) -> Text | None:
    if id_ == "unannounced" and trail.numbers.drill.document.announced:
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


def _internal_notice(trail: Trail) -> Iterator[Look]:
    target, ledger = trail.numbers.drill.document.targets.alarm_handling, trail.ledger
    if target is not None:
        first = Text(en="first order of the incident", zh="该事件首个任务")
        yield from trail.alarms(Segment.ALARM_HANDLING, target // MICRO, note=first, ordered=True)
    columns = (
        ledger.at["acknowledge_by"],
        ledger.received(),
        ledger.at["closed_at"],
        ledger.told(Entry.ISSUED),
        ledger.told(Entry.DELIVERED),
        ledger.told(*ANSWERED),
    )
    for place, (by, at, closed, issued, delivered, answered) in enumerate(zip(*columns, strict=True)):
        if by is None or issued is None or closed is None or (at is None and closed < by):
            continue
        if at is None:
            yield Look(ok=False, at=issued, about=place)
        else:
            told = delivered if delivered is not None else answered
            yield Look(at <= by, issued if told is None else told, place, RECEIPT)


def _reported_upward(trail: Trail) -> Iterator[Look]:
    numbers, ledger = trail.numbers, trail.ledger
    reports = {
        response.id: {rule["id"] for rule in numbers.documents.get(response.digest, {}).get("reports") or ()}
        for response in numbers.responses
    }
    completed, due_at = ledger.at["completed_at"], ledger.at["complete_by"]
    told, silence = ledger.told(Entry.COMPLETED), ledger.silence()
    for (activation, task), places in trail.posts.items():
        if task not in reports[activation]:
            continue
        done = [(at, place) for place in places if (at := completed[place]) is not None]
        due = min((by for place in places if (by := due_at[place]) is not None), default=None)
        if done:
            by, first = min(done)
            if (shown := told[first]) is not None:
                yield Look(due is None or by <= due, shown, first, COMPLETION)
        elif due is not None and due <= ledger.micros(numbers.ended_at):
            late = Wanted((Entry.OVERDUE,), Deadline.COMPLETE, otherwise=THE_ORDER)
            if (at := silence[places[0]]) is not None:
                yield Look(ok=False, at=at, about=places[0], wanted=late)


def _graded(trail: Trail) -> Iterator[Look]:
    target, first = trail.numbers.drill.document.targets.alarm_handling, trail.reported()
    changed = trail.all(Entry.LEVEL_CHANGED)
    for moment in trail.all(Entry.ACTIVATED):
        reported = first.get(moment.incident_id)
        in_time = target is None or reported is None or moment.at - reported.at <= target
        yield trail.of(moment, ok=in_time and bool(moment.detail.get("level")), note=_level(moment))
    for moment in changed:
        yield trail.of(moment, ok=True, note=_level(moment))
    for moment in trail.all(Entry.LEVEL_SUGGESTED):
        followed = any(
            later.activation_id == moment.activation_id
            and later.at >= moment.at
            and later.detail.get("level") == moment.detail.get("level")
            for later in changed
        )
        yield trail.of(moment, ok=followed, note=_level(moment))
    for moment in trail.all(Entry.NO_PLAN, Entry.CONFIRMATION_OVERDUE):
        yield trail.of(moment, ok=False)


def _level(moment: Moment) -> Text:
    level = moment.detail.get("level") or "–"
    return Text(en=f"level {level}", zh=f"{level}级")


def _range(trail: Trail) -> Iterator[Look]:
    numbers, ledger = trail.numbers, trail.ledger
    digests = {response.id: response.digest for response in numbers.responses}
    told = ledger.told(Entry.ISSUED)
    posts: Mapping[tuple[UUID | None, str], Sequence[int]] = {**trail.posts}
    seen: set[tuple[UUID | None, str]] = set()
    for moment in trail.all(Entry.ACTIVATED, Entry.LEVEL_CHANGED, Entry.STANDBY):
        level = STANDBY if moment.entry is Entry.STANDBY else moment.detail.get("level")
        document = numbers.documents.get(digests.get(moment.activation_id, "") if moment.activation_id else "", {})
        for task in (*(document.get("tasks") or ()), *(document.get("reports") or ())):
            key = (moment.activation_id, task["id"])
            if key in seen or task.get("after") or task.get("when") or not _asked_at(task.get("levels"), level):
                continue
            seen.add(key)
            title = Text.model_validate(task["title"])
            if first := trail.issued_first(posts.get(key, ())):
                yield Look(ok=True, at=told[first[0]] or 0, about=first, note=title)
            else:
                yield trail.of(moment, ok=False, note=title)
    for moment in trail.all(Entry.UNFILLED):
        yield trail.of(moment, ok=False, note=moment.task)


def _asked_at(levels: list[str] | None, level: object) -> bool:
    return level != STANDBY if levels is None else level in levels


def _started_by(trail: Trail) -> Iterator[Look]:
    for moment in trail.all(Entry.ACTIVATED):
        if moment.by is not None:
            yield trail.of(moment, ok=True, note=Text(en=f"by {moment.by}", zh=f"决定人：{moment.by}"))
    for moment in trail.all(Entry.CONFIRMATION_OVERDUE):
        yield trail.of(moment, ok=False)


def _unannounced(trail: Trail) -> Iterator[Look]:
    ledger = trail.ledger
    if trail.numbers.drill.document.announced:
        return
    never = set(silent(trail.numbers.observed))
    seen: set[str] = set()
    columns = (ledger.department, ledger.at["acknowledge_by"], ledger.told(*ANSWERED), ledger.silence())
    for place, (department, by, answered, silence) in enumerate(zip(*columns, strict=True)):
        if department in seen or by is None:
            continue
        if answered is not None:
            seen.add(department)
            yield Look(answered <= by, answered, place, AN_ANSWER)
        elif place in never and silence is not None:
            seen.add(department)
            yield Look(ok=False, at=silence, about=place, wanted=SILENCE)


def _deputies(trail: Trail) -> Iterator[Look]:
    ledger, titles = trail.ledger, trail.numbers.titles
    refused = enumerate(zip(ledger.at["declined_at"], ledger.at["failed_at"], strict=True))
    lost = {place for place, (declined, failed) in refused if declined is not None or failed is not None}
    lost.update(silent(trail.numbers.observed))
    issued, turned_out = ledger.at["issued_at"], ledger.told(*TURNED_OUT)
    refusals, silence = ledger.told(Entry.DECLINED, Entry.FAILED), ledger.silence()
    for places in trail.posts.values():
        if lost.isdisjoint(places):
            continue
        heirs = sorted((issued[place] or 0, place) for place in places if place not in lost)
        # From each heir on, whoever of those issued no sooner turned out first.
        best: list[tuple[int, int] | None] = [None]
        for _, place in reversed(heirs):
            at = turned_out[place]
            best.append(min(filter(None, (best[-1], None if at is None else (at, place))), default=None))
        best.reverse()
        for place in places:
            if place not in lost:
                continue
            loss = refusals[place]
            taken = best[bisect_left(heirs, (issued[place] or 0, -1))]
            name = titles.department(ledger.department[place])
            note = Text(en=f"in place of {name.en}", zh=f"接替{name.zh}")
            if taken is not None:
                yield Look(ok=True, at=taken[0], about=taken[1], wanted=TURNOUT, note=note)
            elif (at := silence[place] if loss is None else loss) is not None:
                yield Look(ok=False, at=at, about=place, wanted=LOSS)


_ITEMS: dict[str, tuple[Text, Text, Callable[[Trail], Iterator[Look]]]] = {
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
