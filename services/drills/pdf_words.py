"""What the printed report calls its parts, in both languages."""

from schemas.base import Text


def _t(en: str, zh: str) -> Text:
    return Text(en=en, zh=zh)


LABELS: dict[str, Text | tuple[Text, ...]] = {
    "objectives": _t("Objectives", "演练目标"),
    "items": _t("Measurable items of AQ/T 9009-2015", "AQ/T 9009-2015 可测评项目"),
    "items_rule": _t(
        "Filled in from the record only. Met: in every case; partly met: in some; not met: in none; not observed:"
        " nothing to judge by.",
        "仅依据记录自动填写。达到：全部做到；部分达到：部分做到；未达到：均未做到；未观察到：无可评判情况。",
    ),
    "more": _t("and # more in the HTML", "另有 # 条，见 HTML 版"),
    "strengths": _t("Strengths", "优点"),
    "gaps": _t("Gaps", "不足"),
    "none": _t("None that the record shows.", "记录中未见。"),
    "improvements": _t("Improvement items", "整改项"),
    "improvement_columns": (_t("Item", "整改内容"), _t("Owner", "责任人"), _t("Due", "期限"), _t("State", "状态")),
    "improvements_none": _t("Not on record yet. The gaps call for:", "尚未登记。根据不足建议："),
    "segments": _t("By time segment", "分段用时"),
    "segment_columns": (
        _t("Segment", "时段"),
        _t("Target", "目标"),
        _t("n", "n"),
        _t("p50", "p50"),
        _t("p90", "p90"),
        _t("Within target", "达标率"),
        _t("p95", "p95"),
        _t("Longest answered", "最长应答"),
        _t("Never responded", "从未应答"),
        _t("p90 at most, 95 % sure", "p90 上限（95%）"),
    ),
    "departments": _t("By department", "按单位"),
    "department_columns": (
        _t("Department", "单位"),
        _t("Orders", "任务"),
        _t("Declined", "拒绝"),
        _t("Never answered", "从未应答"),
        _t("Called off early", "提前收回"),
        _t("Done", "完成"),
        _t("Missed a deadline", "曾超时"),
        _t("n", "n"),
        _t("p50", "p50"),
        _t("p90", "p90"),
        _t("Within target", "达标率"),
    ),
    "department_note": _t(
        "n, p50, p90 and share are of turnout: order received to committed or started.",
        "n、p50、p90 及达标率指出动准备：收到任务至确认承担或开始。",
    ),
    "gantt": _t("Planned and actual by department", "各单位计划与实际（甘特图）"),
    "legend_signs": _t(
        "ring: received, dot: completed, ×: declined, numbers: injects",
        "圆环：送达，圆点：完成，×：拒绝，编号：情景注入",
    ),
    "escalations": _t("Missed deadlines and escalations", "超时与升级"),
    "obstacles": _t("Obstacles", "受阻事项"),
    "injects": _t("Injects (MSEL)", "情景注入（MSEL）"),
    "inject_columns": (
        _t("#", "#"),
        _t("Planned", "计划"),
        _t("Played", "实际"),
        _t("Inject", "注入"),
        _t("Expected", "预期行动"),
        _t("Decided", "系统判定"),
        _t("Seen", "是否见到"),
    ),
    "guide": _t("Exercise evaluation guide (HSEEP)", "演练评估指南（HSEEP）"),
    "guide_note": _t(
        "For the evaluator: what was observed is filled in from the record; rating, notes and signature are yours.",
        "供评估人员使用：观察情况由记录自动填写；评级、评语和签名由评估人员填写。",
    ),
    "rating": _t("Rating:", "评级："),
    "notes": _t("Notes, strengths, areas to improve:", "评语、优点与待改进之处："),
    "sign": (_t("Evaluator", "评估人员"), _t("Signature", "签名"), _t("Date", "日期")),
    "timeline": _t("The whole timeline", "完整时间线"),
    "method": _t("How to read the numbers", "数字说明"),
}
_KEY = {"thin": False, "line": False, "dashed": False}
LEGEND: tuple[tuple[dict[str, bool | str], Text], ...] = (
    ({**_KEY, "color": "#d5d2ca", "line": True}, _t("planned, to the last deadline", "计划（至最后时限）")),
    ({**_KEY, "color": "#d9c58b"}, _t("waits for an answer", "等待应答")),
    ({**_KEY, "color": "#9db8d9"}, _t("committed", "已承担")),
    ({**_KEY, "color": "#4a7ab5"}, _t("at work", "执行中")),
    ({**_KEY, "color": "#b3372a", "dashed": True}, _t("never answered", "从未应答")),
    ({**_KEY, "color": "#6a6f78", "thin": True}, _t("deadline kept", "时限内")),
    ({**_KEY, "color": "#b3372a", "thin": True}, _t("deadline missed", "超时")),
)
METHOD = (
    _t(
        "Percentiles are by nearest rank over everybody, those who never answered last: a percentile that falls on one"
        " of them is never, not a number. There is no mean.",
        "百分位数按最近秩法对全部观测计算，从未应答者排在最后；落在其上的百分位数为“从未”，而非数值。不使用平均值。",
    ),
    _t(
        "p90 is told from 10 observations, p95 from 20, the upper bound of p90 from 29; n<10 and the like say that"
        " there were too few.",
        "p90 至少需 10 个观测，p95 需 20 个，p90 置信上限需 29 个；n<10 等表示样本不足。",
    ),
    _t(
        "An objective that isn't met is partly met when at least half of what was observed lay within its time.",
        "未达到的目标，若至少一半观测在规定时间内，则为部分达到。",
    ),
    _t(
        "Who declined has answered, and has no turnout. Orders called off before their time to answer was over count"
        " neither way.",
        "拒绝者视为已应答，不计出动准备。应答时限前收回的任务两方面均不计入。",
    ),
    _t(
        "Every number is reckoned from the record. Segments in the sense of NFPA 1225 and NFPA 1710; kinds of exercise"
        " as in AQ/T 9007-2019; evaluation guide as in HSEEP (2020).",
        "所有数字均由记录计算。时段划分参照 NFPA 1225、NFPA 1710；演练类型依据 AQ/T 9007-2019；"
        "评估指南参照 HSEEP（2020）。",
    ),
)
