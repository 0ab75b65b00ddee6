"""The report as PDF, one language at a time, for printing and signing.

Typeset by Typst, whose compiler comes in its wheel, with Noto Sans SC from a package and no font of the system: the
same report gives the same bytes on every machine. Texts go in as data and are never read as markup.
"""

import json
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import typst

from schemas.base import Text
from services.domain.segments import BOUND_NEEDS, NEEDS, Summary
from services.drills import font, gantt, words
from services.drills.evaluation import RATINGS, Evaluation
from services.drills.evidence import Checks
from services.drills.html import ENVIRONMENT, translations
from services.drills.pdf_words import LABELS, LEGEND, METHOD
from services.drills.ratings import Grade
from services.drills.record import DrillError
from services.drills.report import Moment, Report, Verdict
from services.drills.table import found, wanted

_TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
PAGE = 1500.0
"""Height of a Gantt on one page, in the drawing's own units."""
SHOWN = 12
"""Entries named beside an objective or an item at most; the HTML has them all."""
FEW = 3
"""Entries named beside a strength or a gap."""


def render(report: Report, language: str = "en") -> bytes:
    """Typeset the report in ``en`` or ``zh``."""
    told = json.dumps(_Pages(report, language).document(), ensure_ascii=False)
    try:
        made = typst.compile(
            _TEMPLATE,
            font_paths=[font.folder()],
            ignore_system_fonts=True,
            sys_inputs={"report": told},
            timestamp=report.ended_at.replace(microsecond=0),
        )
    except typst.TypstError as error:
        raise DrillError(f"drill {report.drill.id}: the PDF can't be set: {error}") from error
    if not isinstance(made, bytes):
        raise DrillError(f"drill {report.drill.id}: the PDF can't be set: no single document came out")
    return made


class _Pages:
    """Chooses one language of everything, and writes every number out."""

    def __init__(self, report: Report, language: str) -> None:
        self.report = report
        self.language = language
        self.known = translations(report)
        self.evaluation: Evaluation = report.evaluation

    def say(self, text: Text) -> str:
        return str(getattr(text, self.language))

    def pick(self, en: str, zh: str) -> str:
        return {"en": en, "zh": zh}[self.language]

    def said(self, reason: str) -> str:
        known = self.known.get(reason)
        return self.say(known) if known else reason

    def at(self, moment: datetime | None) -> str:
        return words.NONE_YET if moment is None else words.offset(moment, self.report.drill.started_at)

    def who(self, department: str | None) -> str:
        return self.say(self.report.titles.department(department)) if department else ""

    def document(self) -> dict[str, Any]:
        report, drill = self.report, self.report.drill
        document, ended = drill.document, report.ended_at
        kind = (self.say(words.CONTENTS[document.kind.content]), self.say(words.FORMS[document.kind.form]))
        announced = self.pick("announced", "预先通知") if document.announced else self.pick("unannounced", "不预先通知")
        return {
            "lang": self.language,
            "region": self.pick("us", "cn"),
            "labels": {name: self._labelled(value) for name, value in LABELS.items()},
            "verdicts": {name: self.say(text) for name, text in words.VERDICTS.items()},
            "date": {"year": ended.year, "month": ended.month, "day": ended.day},
            "banner": self.pick("EXERCISE · EXERCISE · EXERCISE", "演练 · 演练 · 演练"),
            "kicker": self.pick("Drill report", "演练报告"),
            "footer": f"{self.pick('EXERCISE', '演练')} · {document.id} · {drill.id}",
            "title": self.say(document.title),
            "purpose": self.say(document.purpose),
            "facts": [
                ["STARTEX", f"{drill.started_at:%Y-%m-%d %H:%M:%S} UTC"],
                ["ENDEX", f"{self.at(ended)}, {self.say(words.ENDINGS[drill.ending])}"],
                [self.pick("Kind", "类型"), ", ".join((*kind, announced))],
                [self.pick("Plan", "预案"), ", ".join(document.plans)],
                [self.pick("Drill", "演练脚本"), f"{document.id}, {self.pick('version', '版本')} {document.version}"],
                [self.pick("On record as", "记录编号"), str(drill.id)],
            ],
            "notice": self._notice(),
            "cards": self._cards(),
            "objectives": self._objectives(),
            "items": [
                {
                    "verdict": item.verdict.value,
                    "title": self.say(item.title),
                    "count": f"({item.checks.held}/{item.checks.total})" if item.checks.total else "",
                    "rule": self.say(item.rule),
                    "remark": self.say(item.remark) if item.remark else None,
                    **self._checks(item.checks),
                }
                for item in self.evaluation.items
            ],
            "strengths": [self._finding(each.text, each.evidence) for each in self.evaluation.strengths],
            "gaps": [self._finding(each.text, each.evidence) for each in self.evaluation.gaps],
            "improvements": self._improvements(),
            "proposals": [f"{self.say(each.title)} ({self.who(each.owner)})" for each in self.evaluation.proposals],
            "segments": self._segments(),
            "departments": self._departments(),
            "legend": [{**key, "words": self.say(text)} for key, text in LEGEND],
            "charts": list(self._charts()),
            "escalations": [self._escalation(moment) for moment in report.escalations],
            "obstacles": self._obstacles(),
            "injects": self._injects(),
            "guide": self._guide(),
            "timeline": [self._entry(moment) for moment in report.timeline],
            "cut": {name: self.say(text) for name, text in words.cut(report).items()},
            "method": [self.say(text) for text in METHOD],
        }

    def _labelled(self, value: Text | tuple[Text, ...]) -> str | list[str]:
        return self.say(value) if isinstance(value, Text) else [self.say(each) for each in value]

    def _notice(self) -> str:
        drill = self.report.drill
        told = self.say(words.seated(drill))
        took = words.span(self.report.duration / drill.speed)
        told += self.pick(f" It took {took} of real time.", f"实际用时 {took}。")
        beside = words.beside(drill)
        if beside is not None:
            told += f" {self.say(beside)}"
        corrected = len(self.report.corrected)
        if corrected:
            told += self.pick(
                f" {corrected} entries of the timeline were corrected afterwards; all numbers follow the corrected"
                " times.",
                f"时间线中有{corrected}条记录经事后更正，所有数字均按更正后的时间计算。",
            )
        return told

    def _cards(self) -> list[list[str]]:
        report = self.report
        met = sum(row.verdict is Verdict.MET for row in report.objectives)
        headline = next(row.summary for row in report.segments if row.segment.value == "mobilization")
        p90 = words.quantile(headline.p90, NEEDS[90], self.language) if headline.n else words.NONE_YET
        return [
            [f"{met}/{len(report.objectives)}", self.pick("objectives met", "目标达成")],
            [p90, self.pick("mobilization, nine of ten (p90)", "总动员用时（p90）")],
            [str(report.never.total), self.pick("orders never answered", "任务从未应答")],
            [str(report.escalations.total), self.pick("missed deadlines and escalations", "超时与升级")],
            [str(len(report.obstacles)), self.pick("obstacles", "受阻事项")],
        ]

    def _objectives(self) -> list[dict[str, Any]]:
        rows = []
        for sheet in self.evaluation.sheets:
            criterion = sheet.row.rule.criterion
            tasks = f" ({'; '.join(self.say(task) for task in sheet.tasks)})" if sheet.tasks else ""
            segment = self.say(words.SEGMENTS[criterion.segment])
            numbers = (
                f"{segment} {wanted(criterion)}{tasks}; {self.pick('found', '实测')}"
                f" {found(sheet.row, self.language)}, n = {sheet.row.n}"
            )
            rows.append(
                {
                    "verdict": sheet.row.verdict.value,
                    "title": self.say(sheet.row.rule.title),
                    "numbers": numbers,
                    **self._checks(sheet.evidence),
                }
            )
        return rows

    def _checks(self, checks: Checks) -> dict[str, Any]:
        shown = [{**self._proof(check.moment), "ok": check.ok} for check in checks.shown[:SHOWN]]
        return {"evidence": shown, "more": checks.total - len(shown)}

    def _proof(self, moment: Moment) -> dict[str, Any]:
        told = " ".join(filter(None, (self.at(moment.at), self.say(words.ENTRIES[moment.entry]))))
        return {"id": str(moment.id), "words": ", ".join(filter(None, (told, self.who(moment.department))))}

    def _finding(self, text: Text, evidence: tuple[Moment, ...]) -> dict[str, Any]:
        return {"text": self.say(text), "evidence": [self._proof(moment) for moment in evidence[:FEW]]}

    def _improvements(self) -> list[list[str] | dict[str, str]]:
        rows: list[list[str] | dict[str, str]] = []
        for item in self.report.improvements:
            steps = (
                f"{step.at:%Y-%m-%d} {self.say(words.ACTIONS[step.action.value])} ({step.by})"
                + (f": {step.reason}" if step.reason else "")
                for step in item.history
            )
            rows.append(
                {
                    "title": self.say(item.title),
                    "owner": self.who(item.owner),
                    "due": f"{item.due:%Y-%m-%d}" if item.due else words.NONE_YET,
                    "state": self.pick("open", "未关闭") if item.is_open else self.pick("closed", "已关闭"),
                    "history": "; ".join(steps),
                }
            )
        return rows

    def _numbers(self, summary: Summary, target: timedelta | None) -> list[str]:
        if not summary.n:
            return ["0", *[words.NONE_YET] * 3]
        p50 = words.quantile(summary.p50, NEEDS[50], self.language)
        p90 = words.quantile(summary.p90, NEEDS[90], self.language)
        return [str(summary.n), p50, p90, words.share(summary.within_target) if target else words.NONE_YET]

    def _segments(self) -> list[dict[str, Any]]:
        rows = []
        for row in self.report.segments:
            summary = row.summary
            more = [
                words.quantile(summary.p95, NEEDS[95], self.language),
                words.span(summary.longest) if summary.longest is not None else words.NONE_YET,
                words.share(summary.never_responded),
                words.quantile(summary.bounds[90], BOUND_NEEDS[90], self.language),
            ]
            cells = [
                words.span(row.target) if row.target is not None else words.NONE_YET,
                *self._numbers(summary, row.target),
                *(more if summary.n else [words.NONE_YET] * len(more)),
            ]
            name, spanned = self.say(words.SEGMENTS[row.segment]), self.say(words.SPANS[row.segment])
            rows.append({"name": name, "span": spanned, "cells": cells})
        return rows

    def _departments(self) -> list[dict[str, Any]]:
        target = self.report.drill.document.targets.turnout
        return [
            {
                "name": self.say(row.title),
                "bad": bool(row.never),
                "cells": [
                    *(
                        str(count) if count else words.NONE_YET
                        for count in (row.orders, row.declined, row.never, row.cut_short, row.completed, row.late)
                    ),
                    *self._numbers(row.turnout, target),
                ],
            }
            for row in self.report.departments
        ]

    def _charts(self) -> Iterable[str]:
        template = ENVIRONMENT.get_template("timeline.print.svg.j2")
        for chart in gantt.pages(self.report, PAGE):
            yield template.render(chart=chart, gantt=gantt, language=self.language)

    def _escalation(self, moment: Moment) -> list[str]:
        step = moment.detail.get("step") or moment.detail.get("deadline")
        told = self.say(words.ENTRIES[moment.entry])
        if step in words.STEPS:
            told += f": {self.say(words.STEPS[step])}"
        return [self.at(moment.at), told, self.who(moment.department), self.say(moment.task) if moment.task else ""]

    def _obstacles(self) -> list[dict[str, str]]:
        return [
            {
                "who": self.who(row.department),
                "task": self.say(row.task),
                "what": self.said(row.description),
                "times": self.pick(
                    f"owner: {row.owner}; reported {self.at(row.reported_at)}, taken on {self.at(row.taken_at)},"
                    f" resolved {self.at(row.resolved_at)}",
                    f"责任人：{row.owner}；上报 {self.at(row.reported_at)}，接手 {self.at(row.taken_at)}，"
                    f"解决 {self.at(row.resolved_at)}",
                ),
            }
            for row in self.report.obstacles
        ]

    def _injects(self) -> list[list[str]]:
        start = self.report.drill.started_at
        rows = []
        for number, row in enumerate(self.report.injects, 1):
            outcome = words.OUTCOMES.get(row.outcome or "")
            rated = words.VERDICTS.get(row.rating or "")
            rows.append(
                [
                    str(number),
                    self.at(start + row.rule.at),
                    self.at(row.played_at) if row.played_at else self.pick("not played", "未注入"),
                    self.say(row.rule.title),
                    self.say(row.rule.expectation),
                    self.say(outcome) if outcome else row.outcome or words.NONE_YET,
                    self.say(rated) if rated else self.pick("evaluator judges", "由评估人员判定"),
                ]
            )
        return rows

    def _guide(self) -> list[dict[str, Any]]:
        boxes = {letter: f"{letter} {self.say(meaning)}" for letter, meaning in RATINGS.items()}
        boxes[Grade.NOT_OBSERVED] = self.pick("not observed", "未观察到")
        sheets = []
        for sheet in self.evaluation.sheets:
            criterion = sheet.row.rule.criterion
            tasks = "; ".join(self.say(task) for task in sheet.tasks) or self.pick("all of the plan", "预案全部任务")
            target = f"{self.say(words.SEGMENTS[criterion.segment])} {wanted(criterion)}"
            seen = f"{found(sheet.row, self.language)}, n = {sheet.row.n}"
            sheets.append(
                {
                    "title": self.say(sheet.row.rule.title),
                    "target": self.pick(
                        f"Capability target: {target}. Critical tasks: {tasks}.",
                        f"能力目标：{target}。关键任务：{tasks}。",
                    ),
                    "observed": self.pick("Observed: ", "观察情况：")
                    + f"{seen}, {self.say(words.VERDICTS[sheet.row.verdict.value])}",
                    "boxes": [
                        {"words": said, "ticked": sheet.judgement.rating == grade} for grade, said in boxes.items()
                    ],
                    "notes": sheet.judgement.notes,
                    "signed": [sheet.judgement.evaluator, None, self._day(sheet.judgement.signed_on)],
                }
            )
        return sheets

    @staticmethod
    def _day(day: date | None) -> str | None:
        return day.isoformat() if day is not None else None

    def _entry(self, moment: Moment) -> dict[str, Any]:
        detail = moment.detail
        level = detail.get("level") if not moment.department else None
        what = [
            self.say(moment.task) if moment.task else "",
            self.said(detail["headline"]) if detail.get("headline") else "",
            f"{self.pick('level', '级别')} {level}" if level else "",
        ]
        return {
            "id": str(moment.id),
            "at": self.at(moment.at),
            "was": self.at(moment.recorded_as) if moment.at != moment.recorded_as else None,
            "entry": self.say(words.ENTRIES[moment.entry]),
            "who": self.who(moment.department),
            "what": " ".join(filter(None, what)),
            "why": self.said(moment.reason) if moment.reason else None,
            "attention": moment.attention,
            "corrections": [
                self.pick(f"Corrected by {each.by}", f"更正人：{each.by}")
                + (f", {self.at(each.occurred_at)}" if each.occurred_at else "")
                + (f": {each.note}" if each.note else "")
                + f" ({self.pick('reason', '原因')}: {each.reason})"
                for each in moment.corrections
            ],
        }
