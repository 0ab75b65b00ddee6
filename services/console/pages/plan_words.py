"""Words that the pages about plans need beside the vocabularies: spans, what escalates to whom, what a path shows."""

from collections.abc import Mapping
from datetime import timedelta

from schemas.base import Text, parse_duration

_UNITS = ((86_400, " d", "天"), (3_600, " h", "小时"), (60, " min", "分"), (1, " s", "秒"))
_PARTS = 2
"""Units that a span is told in: nobody asks for the seconds of a day."""

WHY = {
    "activated": Text(en="first", zh="首先"),
    "after": Text(en="then", zh="之后"),
    "declined": Text(en="declined, so", zh="拒绝，改由"),
    "silent": Text(en="no answer, so", zh="无应答，改由"),
}
CONCERNS = {
    "a deadline changes": Text(en="deadlines", zh="时限"),
    "a quota calls at another pace": Text(en="quota", zh="轮询节奏"),
    "silence is followed up differently": Text(en="escalation", zh="升级方式"),
    "other departments are concerned": Text(en="departments", zh="涉及单位"),
    "a level changes": Text(en="levels", zh="响应级别"),
    "the plan answers differently": Text(en="when it answers", zh="启动条件"),
    "levels are chosen in another order": Text(en="levels", zh="响应级别"),
}
"""Whom a change concerns beyond the planner, as `services.playbooks.diff` says it."""
_LISTS = {
    "tasks": Text(en="Task", zh="任务"),
    "roles": Text(en="Role", zh="职能"),
    "levels": Text(en="Level", zh="级别"),
    "reports": Text(en="Statutory report", zh="法定报告"),
    "stand_down": Text(en="Stand-down task", zh="终止任务"),
    "calls": Text(en="Called plan", zh="调用预案"),
}
_FIELDS = {
    "version": Text(en="version", zh="版本"),
    "title": Text(en="title", zh="名称"),
    "summary": Text(en="summary", zh="摘要"),
    "kind": Text(en="kind", zh="类别"),
    "owner": Text(en="owner", zh="归口单位"),
    "review_by": Text(en="review by", zh="复审期限"),
    "exercise_every": Text(en="exercised every", zh="演练周期"),
    "match": Text(en="when it answers", zh="启动条件"),
    "activation": Text(en="activation", zh="启动方式"),
    "categories": Text(en="categories", zh="事件类别"),
    "events": Text(en="events", zh="事件关键词"),
    "areas": Text(en="areas", zh="区域"),
    "minimum": Text(en="at least", zh="最低"),
    "priority": Text(en="priority", zh="优先级"),
    "once_within": Text(en="one response within", zh="合并窗口"),
    "when": Text(en="condition", zh="条件"),
    "mode": Text(en="mode", zh="方式"),
    "confirm_within": Text(en="confirm within", zh="确认时限"),
    "on_cancel": Text(en="on cancellation", zh="撤销时"),
    "deadlines": Text(en="deadlines", zh="时限"),
    "acknowledge": Text(en="answer", zh="应答"),
    "start": Text(en="start", zh="开始"),
    "complete": Text(en="complete", zh="完成"),
    "within": Text(en="within", zh="时限"),
    "department": Text(en="department", zh="单位"),
    "deputies": Text(en="deputies", zh="替补单位"),
    "quota": Text(en="quota", zh="轮询"),
    "needed": Text(en="needed", zh="需要数"),
    "any_of": Text(en="candidates", zh="候选单位"),
    "wait": Text(en="wait", zh="等待"),
    "escalation": Text(en="escalation", zh="升级"),
    "role": Text(en="role", zh="职能"),
    "done_when": Text(en="done when", zh="完成标准"),
    "instructions": Text(en="instructions", zh="要求"),
    "levels": Text(en="levels", zh="级别"),
    "after": Text(en="after", zh="前置任务"),
    "read_back": Text(en="read-back", zh="复诵"),
    "to": Text(en="to", zh="报送"),
    "citation": Text(en="citation", zh="依据"),
    "clock": Text(en="clock", zh="计时起点"),
    "en": Text(en="English", zh="英文"),
    "zh": Text(en="Chinese", zh="中文"),
    "severity": Text(en="severity", zh="严重程度"),
    "urgency": Text(en="urgency", zh="紧急程度"),
    "certainty": Text(en="certainty", zh="确定程度"),
    "plan": Text(en="plan", zh="预案"),
}


_SPANS = frozenset({"acknowledge", "start", "complete", "within", "wait", "confirm_within", "window", "exercise_every"})
_DEPARTMENTS = frozenset({"department", "deputies", "any_of", "owner"})


def span(value: str | float | timedelta, language: str) -> str:
    """Write a span as people say it: a duration as plans have it (``1h30m``), or seconds."""
    told = parse_duration(value) if isinstance(value, str) else value
    left = round(told.total_seconds() if isinstance(told, timedelta) else told)
    parts: list[str] = []
    for size, en, zh in _UNITS:
        amount, left = divmod(left, size)
        if amount and len(parts) < _PARTS:
            parts.append(f"{amount}{zh if language == 'zh' else en}")
        elif parts:
            break
    return ("" if language == "zh" else " ").join(parts) or ("0秒" if language == "zh" else "0 s")


def path_in_words(path: str, titles: Mapping[str, str], language: str) -> str:
    """Write the place of a change, as ``tasks[cordon].deadlines.acknowledge``, the way people speak of it."""
    words: list[str] = []
    for step in path.split("."):
        name, _, item = step.partition("[")
        item = item.rstrip("]")
        if item:
            said = _LISTS.get(name)
            title = titles.get(item, item)
            words.append(f"{_choose(said, language)} “{title}”" if said else step)
        else:
            known = _FIELDS.get(name)
            words.append(_choose(known, language) if known else name)
    return (" › " if language != "zh" else "›").join(words)


def value_in_words(path: str, value: str | None, departments: Mapping[str, str], language: str) -> str | None:
    """Write what stood or stands at the place of a change: spans as people say them, departments by their titles."""
    if value is None:
        return None
    if value == "nothing":
        return "–"
    key = path.rpartition(".")[2]
    if key in _SPANS:
        return span(value, language)
    if key in _DEPARTMENTS:
        comma = "、" if language == "zh" else ", "
        return comma.join(departments.get(each, each) for each in value.split(", "))
    return value


def _choose(text: Text, language: str) -> str:
    return text.zh if language == "zh" else text.en
