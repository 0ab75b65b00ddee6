"""What the closed vocabularies are called before people, in both languages: one word for one thing on every page."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from schemas.base import Text
from schemas.drill import Segment
from schemas.timeline import Entry
from schemas.vocabulary import (
    ActivationMode,
    ActivationState,
    Answer,
    AssignmentState,
    Category,
    Certainty,
    MessageType,
    Notice,
    PlanKind,
    Role,
    Severity,
    Status,
    Urgency,
)


def _text(en: str, zh: str) -> Text:
    return Text(en=en, zh=zh)


SEGMENTS = {
    Segment.ALARM_TRANSFER: _text("Alarm transfer", "报警传输"),
    Segment.ALARM_ANSWERING: _text("Alarm answering", "接警"),
    Segment.ALARM_PROCESSING: _text("Alarm processing", "处警"),
    Segment.ALARM_HANDLING: _text("Alarm handling", "接处警合计"),
    Segment.TURNOUT: _text("Turnout", "出动准备"),
    Segment.TRAVEL: _text("Travel", "赶赴现场"),
    Segment.MOBILIZATION: _text("Mobilization", "总动员"),
}
ENTRIES = {
    Entry.REPORTED: _text("Incident reported", "事件报告"),
    Entry.UPDATED: _text("Report updated", "事件续报"),
    Entry.REPEATED: _text("Late report noted", "迟到报告已记录"),
    Entry.CANCEL_RECEIVED: _text("Cancellation received", "收到撤销"),
    Entry.JOINED: _text("Joined to a response", "并入处置"),
    Entry.NO_PLAN: _text("No plan matched", "无匹配预案"),
    Entry.PLAN_MATCHED: _text("Plan matched", "匹配预案"),
    Entry.CONFIRMATION_OVERDUE: _text("Confirmation overdue", "启动确认超时"),
    Entry.ACTIVATED: _text("Plan activated", "预案启动"),
    Entry.STANDBY: _text("Plan on standby", "预案待命"),
    Entry.LEVEL_CHANGED: _text("Level changed", "响应级别调整"),
    Entry.LEVEL_SUGGESTED: _text("Level suggested", "建议调整级别"),
    Entry.STOOD_DOWN: _text("Plan stood down", "响应终止"),
    Entry.CLOSED: _text("Incident closed", "事件关闭"),
    Entry.ISSUED: _text("Order issued", "任务下达"),
    Entry.DELIVERED: _text("Order received", "任务送达"),
    Entry.ACKNOWLEDGED: _text("Order seen", "任务已阅"),
    Entry.COMMITTED: _text("Committed", "确认承担"),
    Entry.DECLINED: _text("Declined", "拒绝承担"),
    Entry.STARTED: _text("Started", "开始执行"),
    Entry.ARRIVED: _text("On scene", "到达现场"),
    Entry.PROGRESSED: _text("Progress", "进展"),
    Entry.COMPLETED: _text("Completed", "完成"),
    Entry.FAILED: _text("Failed", "未能完成"),
    Entry.CANCELLED: _text("Cancelled", "取消"),
    Entry.SUPERSEDED: _text("Superseded", "已由他方承担"),
    Entry.EXPIRED: _text("Expired unanswered", "无应答失效"),
    Entry.DELEGATED: _text("Handed over", "转交"),
    Entry.BLOCKED: _text("Obstacle reported", "上报受阻"),
    Entry.OBSTACLE_TAKEN: _text("Obstacle taken on", "受阻事项已接手"),
    Entry.OBSTACLE_RESOLVED: _text("Obstacle resolved", "受阻事项已解决"),
    Entry.OVERDUE: _text("Deadline missed", "超过时限"),
    Entry.REMINDED: _text("Reminded", "催办"),
    Entry.ESCALATED: _text("Escalated", "升级"),
    Entry.UNFILLED: _text("Nobody left to call", "无可替补单位"),
    Entry.TASK_ADDED: _text("Task added", "增派任务"),
    Entry.INFORMED: _text("Departments informed", "通报各单位"),
    Entry.ANSWER_REFUSED: _text("Answer refused", "应答被拒"),
    Entry.COMMAND_REFUSED: _text("Command refused", "指令被拒"),
}
STEPS = {
    "remind": _text("reminder", "催办"),
    "deputy": _text("to the deputy", "转副职或替补单位"),
    "superior": _text("to the superior", "报上级"),
    "duty_officer": _text("to the duty officer", "报值班领导"),
    "acknowledge": _text("to answer", "应答"),
    "start": _text("to start", "开始"),
    "complete": _text("to complete", "完成"),
}
STATUSES = {
    Status.ACTUAL: _text("Actual", "实战"),
    Status.EXERCISE: _text("Exercise", "演练"),
    Status.SYSTEM: _text("System", "系统"),
    Status.TEST: _text("Test", "测试"),
    Status.DRAFT: _text("Draft", "草稿"),
}
CATEGORIES = {
    Category.GEO: _text("Geological", "地质"),
    Category.MET: _text("Meteorological", "气象"),
    Category.SAFETY: _text("Public safety", "公共安全"),
    Category.SECURITY: _text("Security", "治安"),
    Category.RESCUE: _text("Rescue", "救援"),
    Category.FIRE: _text("Fire", "火灾"),
    Category.HEALTH: _text("Health", "卫生"),
    Category.ENV: _text("Environment", "环境"),
    Category.TRANSPORT: _text("Transport", "交通"),
    Category.INFRA: _text("Infrastructure", "基础设施"),
    Category.CBRNE: _text("Hazardous substances", "危险化学品与核生化"),
    Category.OTHER: _text("Other", "其他"),
}
SEVERITIES = {
    Severity.EXTREME: _text("Extreme", "特别严重"),
    Severity.SEVERE: _text("Severe", "严重"),
    Severity.MODERATE: _text("Moderate", "较重"),
    Severity.MINOR: _text("Minor", "一般"),
    Severity.UNKNOWN: _text("Unknown", "未知"),
}
URGENCIES = {
    Urgency.IMMEDIATE: _text("Immediate", "立即"),
    Urgency.EXPECTED: _text("Expected", "即将"),
    Urgency.FUTURE: _text("Future", "将来"),
    Urgency.PAST: _text("Past", "已过"),
    Urgency.UNKNOWN: _text("Unknown", "未知"),
}
CERTAINTIES = {
    Certainty.OBSERVED: _text("Observed", "已观测"),
    Certainty.LIKELY: _text("Likely", "很可能"),
    Certainty.POSSIBLE: _text("Possible", "可能"),
    Certainty.UNLIKELY: _text("Unlikely", "不太可能"),
    Certainty.UNKNOWN: _text("Unknown", "未知"),
}
MESSAGE_TYPES = {
    MessageType.ALERT: _text("Alert", "首报"),
    MessageType.UPDATE: _text("Update", "续报"),
    MessageType.CANCEL: _text("Cancellation", "撤销"),
    MessageType.ACK: _text("Acknowledgement", "回执"),
    MessageType.ERROR: _text("Error", "差错"),
}
PLAN_KINDS = {
    PlanKind.COMPREHENSIVE: _text("Comprehensive plan", "综合应急预案"),
    PlanKind.SPECIAL: _text("Special plan", "专项应急预案"),
    PlanKind.SITE: _text("Site plan", "现场处置方案"),
}
MODES = {
    ActivationMode.AUTOMATIC: _text("Automatic", "自动启动"),
    ActivationMode.CONFIRM: _text("Duty officer confirms", "值班领导确认启动"),
    ActivationMode.STANDBY: _text("Standby", "预警待命"),
}
ACTIVATION_STATES = {
    ActivationState.MONITORING: _text("Awaits confirmation", "待确认"),
    ActivationState.WARNING: _text("On standby", "预警待命"),
    ActivationState.ACTIVATED: _text("Activated", "已启动"),
    ActivationState.STOOD_DOWN: _text("Stood down", "已终止"),
}
ASSIGNMENT_STATES = {
    AssignmentState.ISSUED: _text("Not received", "未送达"),
    AssignmentState.DELIVERED: _text("Received, no answer", "已送达未应答"),
    AssignmentState.ACKNOWLEDGED: _text("Seen, no answer", "已阅未应答"),
    AssignmentState.COMMITTED: _text("Committed", "已承担"),
    AssignmentState.STARTED: _text("Started", "执行中"),
    AssignmentState.DECLINED: _text("Declined", "已拒绝"),
    AssignmentState.COMPLETED: _text("Completed", "已完成"),
    AssignmentState.FAILED: _text("Failed", "未能完成"),
    AssignmentState.CANCELLED: _text("Cancelled", "已取消"),
    AssignmentState.SUPERSEDED: _text("Superseded", "已由他方承担"),
    AssignmentState.EXPIRED: _text("Expired unanswered", "无应答失效"),
}
ANSWERS = {
    Answer.DELIVER: _text("Received", "送达"),
    Answer.ACKNOWLEDGE: _text("Seen", "已阅"),
    Answer.COMMIT: _text("Commit", "承担"),
    Answer.DECLINE: _text("Decline", "拒绝"),
    Answer.START: _text("Start", "开始"),
    Answer.ARRIVE: _text("On scene", "到达现场"),
    Answer.PROGRESS: _text("Progress", "报告进展"),
    Answer.BLOCK: _text("Blocked", "受阻"),
    Answer.COMPLETE: _text("Complete", "完成"),
    Answer.FAIL: _text("Can't be done", "未能完成"),
    Answer.DELEGATE: _text("Hand over", "转交"),
}
NOTICES = {
    Notice.ISSUED: _text("New order", "新任务"),
    Notice.REMINDED: _text("Reminder", "催办"),
    Notice.ESCALATED: _text("Escalated to you", "升级至本单位"),
    Notice.CANCELLED: _text("Cancelled", "已取消"),
    Notice.SUPERSEDED: _text("Taken over by another", "已由他方承担"),
    Notice.REFUSED: _text("Answer refused", "应答被拒"),
    Notice.INFORMED: _text("For your information", "情况通报"),
}
ROLES = {
    Role.DUTY_OFFICER: _text("Duty officer", "值班领导"),
    Role.DEPARTMENT: _text("Department member", "单位人员"),
    Role.PLANNER: _text("Planner", "预案管理员"),
    Role.EVALUATOR: _text("Evaluator", "评估员"),
    Role.AUDITOR: _text("Auditor", "审计员"),
    Role.ADMINISTRATOR: _text("Administrator", "管理员"),
}
PHASES = {
    "accepted": _text("Accepted", "已受理"),
    "open": _text("Open", "处置中"),
    "joined": _text("Joined to another", "已并入"),
    "closing": _text("Closing", "收尾中"),
    "closed": _text("Closed", "已关闭"),
}

WORDS: Mapping[type[StrEnum], Mapping[Any, Text]] = {
    Segment: SEGMENTS,
    Entry: ENTRIES,
    Status: STATUSES,
    Category: CATEGORIES,
    Severity: SEVERITIES,
    Urgency: URGENCIES,
    Certainty: CERTAINTIES,
    MessageType: MESSAGE_TYPES,
    PlanKind: PLAN_KINDS,
    ActivationMode: MODES,
    ActivationState: ACTIVATION_STATES,
    AssignmentState: ASSIGNMENT_STATES,
    Answer: ANSWERS,
    Notice: NOTICES,
    Role: ROLES,
}
"""Every vocabulary that people see, by its type; a test holds each of them complete."""
