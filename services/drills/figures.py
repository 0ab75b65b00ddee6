"""What the review adds to a report's JSON: the timeline, evidence by entry id, judgements left open, findings."""

from typing import Any

from services.drills.evaluation import Judgement
from services.drills.evidence import Checks
from services.drills.findings import Finding
from services.drills.report import Moment, Report


def review(report: Report) -> dict[str, Any]:
    """Give the review's parts; every ``entry`` is the id of one in ``timeline``.

    A list is cut where it is very long: ``entries`` says how many the timeline has, ``cut`` how many observations an
    objective or an item rests on where not all are listed.
    """
    evaluation = report.evaluation
    judged = {sheet.row.rule.id: sheet.evidence for sheet in evaluation.sheets}
    judged |= {item.id: item.checks for item in evaluation.items}
    cut = {id_: {"held": each.held, "of": each.total} for id_, each in judged.items() if each.total > len(each.shown)}
    return {
        "evidence": {sheet.row.rule.id: _checks(sheet.evidence) for sheet in evaluation.sheets},
        "aqt_9009": [
            {
                "id": item.id,
                "title": item.title,
                "verdict": item.verdict,
                "rule": item.rule,
                "remark": item.remark,
                "evidence": _checks(item.checks),
            }
            for item in evaluation.items
        ],
        "evaluation_guide": [
            {"objective": sheet.row.rule.id, "tasks": sheet.row.rule.criterion.tasks, **_open(sheet.judgement)}
            for sheet in evaluation.sheets
        ],
        "strengths": [_finding(each) for each in evaluation.strengths],
        "gaps": [_finding(each) for each in evaluation.gaps],
        "improvements": [
            {
                "id": item.id,
                "finding": item.finding,
                "title": item.title,
                "owner": item.owner,
                "due": item.due,
                "open": item.is_open,
                "history": item.history,
            }
            for item in report.improvements
        ],
        "entries": report.timeline.total,
        **({"cut": cut} if cut else {}),
        "timeline": [entry(moment) for moment in report.timeline],
    }


def _checks(checks: Checks) -> list[dict[str, Any]]:
    return [
        {"entry": check.moment.id, "at": check.moment.at, "ok": check.ok, "note": check.note} for check in checks.shown
    ]


def _open(judgement: Judgement) -> dict[str, Any]:
    return {
        "rating": judgement.rating,
        "notes": judgement.notes,
        "evaluator": judgement.evaluator,
        "signed_on": judgement.signed_on,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    proposal = finding.proposal
    return {
        "key": finding.key,
        "text": finding.text,
        "evidence": [moment.id for moment in finding.evidence],
        **({"proposal": {"title": proposal.title, "owner": proposal.owner}} if proposal else {}),
    }


def entry(moment: Moment) -> dict[str, Any]:
    """Give one entry of the timeline."""
    corrected = {"recorded_as": moment.recorded_as, "corrections": moment.corrections} if moment.corrections else {}
    return {
        "id": moment.id,
        "at": moment.at,
        "entry": moment.entry,
        "incident": moment.incident_id,
        "assignment": moment.assignment_id,
        "department": moment.department,
        "by": moment.by,
        "reason": moment.reason,
        "detail": moment.detail,
        **corrected,
    }
