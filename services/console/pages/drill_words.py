"""What pages about drills and scorecards call things, in both languages, and how they write spans of time."""

from collections.abc import Mapping
from datetime import datetime

from schemas.base import Text

NONE_YET = "–"


def _t(en: str, zh: str) -> Text:
    return Text(en=en, zh=zh)


STATES: Mapping[str, Text] = {
    "starting": _t("Getting ready", "准备中"),
    "not_started": _t("Did not start", "未能启动"),
    "held": _t("Held at STARTEX", "待开始"),
    "running": _t("Running", "进行中"),
    "paused": _t("Stands still", "已暂停"),
    "broken": _t("Broke off", "异常中断"),
    "over": _t("Over", "已结束"),
}
STATE_CHIPS: Mapping[str, str] = {
    "starting": "issued",
    "not_started": "failed",
    "held": "warning",
    "running": "started",
    "paused": "warning",
    "broken": "failed",
    "over": "stood_down",
}
"""The chip of the design that each state is drawn as."""
ENDINGS: Mapping[str | None, Text] = {
    "finished": _t("everything was done", "全部任务完成"),
    "time_over": _t("its time was over", "演练时间到"),
    "stopped": _t("stopped by a person", "人工终止"),
    "failed": _t("broke off", "异常中断"),
    None: _t("still running", "进行中"),
}
INJECTS: Mapping[str, Text] = {
    "played": _t("played", "已注入"),
    "to_come": _t("comes by the clock", "按时注入"),
    "manual": _t("waits for you", "等待人工注入"),
    "conditional": _t("waits for its condition", "等待条件成立"),
    "held_up": _t("waits for its incident", "等待所属事件"),
    "not_played": _t("not played", "未注入"),
}
KINDS: Mapping[str, Text] = {
    "incident": _t("new incident", "新事件"),
    "update": _t("update", "续报"),
    "message": _t("message", "消息"),
    "department_silent": _t("department silent", "单位失联"),
    "department_declines": _t("department declines", "单位拒绝"),
    "obstacle": _t("obstacle", "受阻"),
    "consumer_outage": _t("orders not received", "接收中断"),
    "service_loss": _t("service killed", "服务中断"),
    "confirm": _t("decision: activate", "决策：启动"),
    "level": _t("decision: level", "决策：级别"),
}
EXPECTED: Mapping[str, Text] = {
    "to_come": _t("to come", "未到"),
    "open": _t("not yet", "尚未"),
    "met": _t("met", "达到"),
    "not_met": _t("not met", "未达到"),
    "not_observed": _t("not observed", "未观察到"),
    "evaluator": _t("evaluator judges", "由评估人员判定"),
}
VERDICTS: Mapping[str, Text] = {
    "met": _t("met", "达到"),
    "partly_met": _t("partly met", "部分达到"),
    "not_met": _t("not met", "未达到"),
    "not_observed": _t("not observed", "未观察到"),
}
RATINGS: Mapping[str, Text] = {
    "P": _t("performed without challenges", "顺利完成"),
    "S": _t("performed with some challenges", "完成，存在一些困难"),
    "M": _t("performed with major challenges", "完成，存在重大困难"),
    "U": _t("unable to be performed", "未能完成"),
    "not_observed": _t("not observed", "未观察到"),
}
SEATS: Mapping[str | None, Text] = {
    "simulated": _t("simulated", "模拟"),
    "real": _t("real", "真实参演"),
    "mixed": _t("partly real", "部分真实参演"),
    "stand-in": _t("simulated: nobody listened", "无人值守，模拟替代"),
    None: _t("not told", "未知"),
}
CONTENTS: Mapping[str, Text] = {
    "comprehensive": _t("comprehensive", "综合演练"),
    "single-item": _t("single-item", "单项演练"),
}
FORMS: Mapping[str, Text] = {"live": _t("live", "实战演练"), "tabletop": _t("tabletop", "桌面演练")}
OUTCOMES: Mapping[str, Text] = {
    "better": _t("better", "变好"),
    "worse": _t("worse", "变差"),
    "cant_tell": _t("can't tell", "无法判定"),
    "insufficient_data": _t("insufficient data", "样本不足"),
}
ACTIONS: Mapping[str, Text] = {
    "start": _t("started", "开始"),
    "pause": _t("paused", "暂停"),
    "resume": _t("resumed", "继续"),
    "stop": _t("stopped", "终止"),
    "inject": _t("played", "注入"),
    "proposed": _t("proposed", "提出"),
    "added": _t("added", "新增"),
    "assigned": _t("assigned", "指派"),
    "closed": _t("closed", "关闭"),
    "reopened": _t("reopened", "重新打开"),
}
ITEMS: Mapping[str, Text] = {
    "open": _t("open", "未关闭"),
    "overdue": _t("overdue", "逾期"),
    "closed": _t("closed", "已关闭"),
}
NEVER = _t("never", "从未")
COLUMNS: Mapping[str, Text] = {
    "issued": _t("not received", "未送达"),
    "received": _t("no answer", "未应答"),
    "committed": _t("committed", "已承担"),
    "started": _t("started", "执行中"),
    "completed": _t("done", "完成"),
    "declined": _t("declined", "拒绝"),
    "called_off": _t("called off", "收回"),
}
CHIP_OF: Mapping[str, str] = {
    "issued": "issued",
    "received": "delivered",
    "committed": "committed",
    "started": "started",
    "completed": "completed",
    "declined": "declined",
    "called_off": "cancelled",
}

_EXACT_BELOW = 9.95
_MINUTE = 60


def span(seconds: float) -> str:
    """Write a span of time so that it is read at a glance: ``4.2 s``, ``31 s``, ``3:07``, ``1:05:00``, ``12 d``."""
    size = abs(seconds)
    if size < _EXACT_BELOW:
        return f"{seconds:.1f} s"
    if size < _MINUTE - 0.5:
        return f"{seconds:.0f} s"
    sign = "-" if seconds < 0 else ""
    minutes, left = divmod(round(size), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    if hours >= 2 * 24:
        return f"{sign}{hours // 24} d"
    return f"{sign}{hours}:{minutes:02}:{left:02}" if hours else f"{sign}{minutes}:{left:02}"


def offset(seconds: float | None) -> str:
    """Write a moment of a drill as the time since STARTEX: ``T+0:04:30``."""
    if seconds is None:
        return NONE_YET
    minutes, left = divmod(round(abs(seconds)), _MINUTE)
    return f"T{'-' if seconds < 0 else '+'}{minutes // _MINUTE}:{minutes % _MINUTE:02}:{left:02}"


def instant(iso: str) -> float:
    """Read an instant as seconds, to take differences of."""
    return datetime.fromisoformat(iso).timestamp()


def share(value: float | None) -> str:
    """Write a share as a whole percentage; only all is 100 %, and only none is 0 %."""
    if value is None:
        return NONE_YET
    percent = round(value * 100)
    percent = min(percent, 99) if value < 1 else percent
    return f"{max(percent, 1) if value > 0 else percent} %"
