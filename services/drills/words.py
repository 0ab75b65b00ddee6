"""What a drill's report calls things, in both languages."""

from datetime import datetime, timedelta
from typing import Any

from schemas.base import Text
from schemas.drill import Content, Form, Segment
from schemas.words import ENTRIES as ENTRIES
from schemas.words import SEGMENTS as SEGMENTS
from schemas.words import STEPS as STEPS
from services.domain.segments import NEVER, Quantile
from services.drills.record import DrillRow, Ending, Seat
from services.drills.report import LISTED, Listed, Report


def _text(en: str, zh: str) -> Text:
    return Text(en=en, zh=zh)


SPANS = {
    Segment.ALARM_TRANSFER: _text("source sent to broker", "信息发出至平台收到"),
    Segment.ALARM_ANSWERING: _text("broker to accepted", "平台收到至受理"),
    Segment.ALARM_PROCESSING: _text("accepted to first order published", "受理至首个任务下达"),
    Segment.ALARM_HANDLING: _text("the three before, together", "前三段之和"),
    Segment.TURNOUT: _text("order received to committed or started", "收到任务至确认承担或开始"),
    Segment.TRAVEL: _text("started to on scene", "出发至到达现场"),
    Segment.MOBILIZATION: _text("alarm handling and turnout", "接处警加出动准备"),
}
ENDINGS = {
    Ending.FINISHED: _text("everything was done", "全部任务完成"),
    Ending.TIME_OVER: _text("its time was over", "演练时间到"),
    Ending.STOPPED: _text("stopped by a person", "人工终止"),
    Ending.FAILED: _text("broke off", "异常中断"),
    None: _text("still running", "进行中"),
}
CONTENTS = {
    Content.COMPREHENSIVE: _text("comprehensive", "综合演练"),
    Content.SINGLE_ITEM: _text("single-item", "单项演练"),
}
FORMS = {Form.LIVE: _text("live", "实战演练"), Form.TABLETOP: _text("tabletop", "桌面演练")}
OUTCOMES = {
    "activated": _text("plan activated", "预案启动"),
    "standby": _text("plan on standby", "预案待命"),
    "awaiting_confirmation": _text("awaits the duty officer", "待值班领导确认"),
    "joined": _text("joined a response", "并入处置"),
    "no_plan": _text("no plan answers it", "无匹配预案"),
    "updated": _text("picture updated", "态势更新"),
}
VERDICTS = {
    "met": _text("met", "达到"),
    "partly_met": _text("partly met", "部分达到"),
    "not_met": _text("not met", "未达到"),
    "not_observed": _text("not observed", "未观察到"),
}
ACTIONS = {
    "proposed": _text("proposed", "提出"),
    "added": _text("added", "新增"),
    "assigned": _text("assigned", "指派"),
    "closed": _text("closed", "关闭"),
    "reopened": _text("reopened", "重新打开"),
}
SEATS = {
    "simulated": _text("simulated", "模拟"),
    "real": _text("real", "真实参演"),
    "mixed": _text("partly real", "部分真实参演"),
    "stand-in": _text("simulated, since nobody listened", "无人值守，由模拟替代"),
}
NEVER_TEXT = _text("never", "从未")
NONE_YET = "–"


def seated(drill: DrillRow) -> Text:
    """Say who answered for the departments, and what that makes of the numbers."""
    people = sum(seat in {Seat.REAL, Seat.MIXED} for seat in drill.seats.values())
    speed = f"{drill.speed:g}"
    if people:
        stand_ins = sum(seat is Seat.STAND_IN for seat in drill.seats.values())
        return Text(
            en=f"{people} departments answered themselves, the others were simulated with seed {drill.seed}"
            f" ({stand_ins} because nobody listened); {speed} times as fast as the clock; all times are the"
            " scenario's.",
            zh=f"{people}个单位由真实人员应答，其余为模拟单位（随机种子 {drill.seed}，其中{stand_ins}个因无人值守）；"
            f"以 {speed} 倍速运行，所有时间均为情景时间。",
        )
    return Text(
        en=f"Departments were simulated with seed {drill.seed}, {speed} times as fast as the clock; all times are the"
        " scenario's.",
        zh=f"参演单位为模拟单位，随机种子 {drill.seed}，以 {speed} 倍速运行，所有时间均为情景时间。",
    )


def beside(drill: DrillRow) -> Text | None:
    """Say how many real incidents came in during a drill, and what that makes of its times; None where not counted."""
    count = drill.real_incidents
    if count is None:
        return None
    if count == 0:
        return Text(en="No real incident came in meanwhile.", zh="演练期间没有真实事件。")
    return Text(
        en=f"{count} real incident{'s' if count > 1 else ''} came in meanwhile and went first; what the exercise waited"
        " for them is in its times.",
        zh=f"演练期间有{count}起真实事件，均优先处置；演练因此等待的时间计入各项用时。",
    )


def cut(report: Report) -> dict[str, Text]:
    """Say of each list that doesn't hold everything what it holds, and where all is."""
    found = {}
    timeline = report.timeline
    if timeline.is_cut:
        more = len(timeline) - LISTED
        found["timeline"] = Text(
            en=f"Entries 1-{LISTED} of {timeline.total:,}"
            + (f", and {more} further on that the evaluation rests on" if more > 0 else "")
            + f"; all with `muster drill export {report.drill.id} --csv FOLDER`.",
            zh=f"共 {timeline.total:,} 条，此处为第 1-{LISTED} 条"
            + (f"，另有评估所依据的后续记录 {more} 条" if more > 0 else "")
            + f"；全部记录可用 `muster drill export {report.drill.id} --csv FOLDER` 导出。",
        )
    lists: dict[str, tuple[Listed[Any], str, str]] = {
        "assignments": (report.bars, "Assignments", "项任务"),
        "never": (report.never, "Orders never answered", "项从未应答的任务"),
        "escalations": (report.escalations, "Entries", "条记录"),
    }
    for name, (listed, en, zh) in lists.items():
        if listed.is_cut:
            found[name] = Text(
                en=f"{en} 1-{len(listed)} of {listed.total:,}; all with"
                f" `muster drill export {report.drill.id} --csv FOLDER`.",
                zh=f"共 {listed.total:,} {zh}，此处为前 {len(listed)} 项；"
                f"全部可用 `muster drill export {report.drill.id} --csv FOLDER` 导出。",
            )
    return found


def offset(at: datetime, start: datetime) -> str:
    """Write a moment as the time since STARTEX: ``T+0:04:30``."""
    seconds = round((at - start).total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    hours, minutes = divmod(seconds // 60, 60)
    return f"T+{sign}{hours}:{minutes:02}:{seconds % 60:02}"


def span(value: timedelta) -> str:
    """Write a span of time so that it is read at a glance: ``4.2 s``, ``31 s``, ``3:07``, ``1:05:00``."""
    seconds = value.total_seconds()
    if abs(seconds) < _EXACT_BELOW:
        return f"{seconds:.1f} s"
    if abs(seconds) < 59.5:
        return f"{seconds:.0f} s"
    minutes, seconds_left = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours}:{minutes_left:02}:{seconds_left:02}" if hours else f"{minutes}:{seconds_left:02}"


_EXACT_BELOW = 9.95


def quantile(value: Quantile, needs: int, language: str = "en") -> str:
    """Write a percentile: a time, that it is never, or, as ``n<10``, how many it would need to be told."""
    if value is None:
        return f"n<{needs}"
    return str(getattr(NEVER_TEXT, language)) if value is NEVER else span(value)


def share(value: float | None) -> str:
    """Write a share as a whole percentage, rounded so that only all is 100 % and only none is 0 %."""
    if value is None:
        return NONE_YET
    percent = round(value * 100)
    if value < 1:
        percent = min(percent, 99)
    if value > 0:
        percent = max(percent, 1)
    return f"{percent} %"
