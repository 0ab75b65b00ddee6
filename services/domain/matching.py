"""Which plans answer an incident, and why: through an index on what they ask for first, the written guard last."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.incident import IncidentReport
from schemas.vocabulary import Category, Certainty, Severity, Urgency
from services.domain.phrases import Phrases
from services.domain.plan import ConditionError, Level, Match, Plan

SHORT_WORD = 3
"""Letters up to which an event's word must be met whole: *FLA* is a code, and not the beginning of *flames*."""

_ANYWHERE = ""
"""Stands for every area, and for none: where a report names no area, a plan's can't be ruled out."""


class Answers(StrEnum):
    """Whether a plan answers an incident. ``unsure``: its guard or area could not be decided, so a person must."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What matching found about one plan; ``reasons`` holds one sentence for each test that was made."""

    plan: Plan
    answers: Answers
    reasons: tuple[str, ...]


class PlanIndex:
    """The published plans, ordered by priority, found by category, event and area. 10,000 cost little more than ten."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self._ordered = tuple(sorted(plans, key=lambda plan: (-plan.match.priority, plan.id)))
        self.by_id: Mapping[str, Plan] = {plan.id: plan for plan in self._ordered}
        # Under None stand the plans that ask for nothing there; under every category and event stands also _ANYWHERE.
        self._places: dict[tuple[Category, str | None, str | None], list[int]] = {}
        for place, plan in enumerate(self._ordered):
            match = plan.match
            for category in match.categories:
                for event in match.events or (None,):
                    for area in (*(match.areas or (None,)), _ANYWHERE):
                        self._places.setdefault((category, event, area), []).append(place)
        self._events = Phrases(event for plan in self._ordered for event in plan.match.events)
        self._areas = Phrases(area for plan in self._ordered for area in plan.match.areas)

    def candidates(self, report: IncidentReport) -> list[Plan]:
        """List the plans that share a category with the report and may share event and area, highest priority first."""
        texts = (report.event or "", report.headline or "", *_listed(report.event_codes))
        events = [None, *self._events.within("\n".join(texts).casefold())]
        named = "\n".join(part for area in report.areas for part in (area.description, *_listed(area.geocodes)))
        areas = [None, *self._areas.within(named.casefold())] if report.areas else [_ANYWHERE]
        found: set[int] = set()
        for category in report.categories:
            for event in events:
                for area in areas:
                    found.update(self._places.get((category, event, area), ()))
        return [self._ordered[place] for place in sorted(found)]

    def matches(self, report: IncidentReport) -> list[Verdict]:
        """List the plans that answer the report, or may; highest priority first."""
        verdicts = (judge(plan, report) for plan in self.candidates(report))
        return [verdict for verdict in verdicts if verdict.answers is not Answers.NO]

    def explain(self, report: IncidentReport) -> list[Verdict]:
        """Judge every plan, also those the index passes over, so that a person can read why."""
        return [judge(plan, report) for plan in self._ordered]


def judge(plan: Plan, report: IncidentReport) -> Verdict:
    """Test one plan against a report, cheapest test first, and stop at the first that rules it out."""
    reasons: list[str] = []
    for test in (_category, _events, _minimum, _areas):
        holds, reason = test(plan.match, report)
        if reason:
            reasons.append(reason)
        if not holds:
            return Verdict(plan, Answers.NO, tuple(reasons))
    sure = Answers.UNSURE if plan.match.areas and not report.areas else Answers.YES
    guard = plan.match.when
    if guard is None:
        return Verdict(plan, sure, tuple(reasons))
    try:
        holds = guard.holds(report, None)
    except ConditionError as error:
        reasons.append(f"guard can't be decided: {error}")
        return Verdict(plan, Answers.UNSURE, tuple(reasons))
    reasons.append(f"guard {'holds' if holds else 'does not hold'}: {guard.source}")
    return Verdict(plan, sure if holds else Answers.NO, tuple(reasons))


def _listed(codes: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [code for group in codes.values() for code in group]


def _category(match: Match, report: IncidentReport) -> tuple[bool, str]:
    shared = [category for category in report.categories if category in match.categories]
    wanted = ", ".join(sorted(match.categories))
    if not report.categories:
        return False, f"the report names no category, the plan asks for {wanted}"
    if not shared:
        return False, f"category {', '.join(report.categories)} is not among {wanted}"
    return True, f"category {', '.join(shared)}"


def _events(match: Match, report: IncidentReport) -> tuple[bool, str]:
    if not match.events:
        return True, ""
    codes = {code.casefold() for group in report.event_codes.values() for code in group}
    text = f"{report.event or ''}\n{report.headline or ''}".casefold()
    for word in match.events:
        if word in codes or _mentions(text, word):
            return True, f"event mentions “{word}”"
    return False, f"event “{report.event or ''}” mentions none of: {', '.join(match.events)}"


def _mentions(text: str, word: str) -> bool:
    """Say whether a word begins a word of the text, as *flood* does *flooding*; a short one must be the whole word.

    Scripts that don't part words by spaces are searched as they are.
    """
    if not word.isascii():
        return word in text
    place = text.find(word)
    while place >= 0:
        end = place + len(word)
        begins = place == 0 or not (text[place - 1].isascii() and text[place - 1].isalnum())
        ends = end == len(text) or not (text[end].isascii() and text[end].isalnum())
        if begins and (ends or len(word) > SHORT_WORD):
            return True
        place = text.find(word, place + 1)
    return False


def _minimum(match: Match, report: IncidentReport) -> tuple[bool, str]:
    met: list[str] = []
    for name, wanted, actual in (
        ("severity", match.severity, report.severity),
        ("urgency", match.urgency, report.urgency),
        ("certainty", match.certainty, report.certainty),
    ):
        if wanted is None:
            continue
        if rank(actual) == 0:
            met.append(f"{name} is unknown and so not ruled out")
        elif rank(actual) < rank(wanted):
            return False, f"{name} {actual} is below {wanted}"
        else:
            met.append(f"{name} {actual} is at least {wanted}")
    return True, ", ".join(met)


def _areas(match: Match, report: IncidentReport) -> tuple[bool, str]:
    if not match.areas:
        return True, ""
    if not report.areas:
        return True, f"no area is named, so whether it lies within {', '.join(match.areas)} is for a person to say"
    for area in report.areas:
        codes = [code.casefold() for group in area.geocodes.values() for code in group]
        for wanted in match.areas:
            if wanted in area.description.casefold() or any(code.startswith(wanted) for code in codes):
                return True, f"area “{wanted}”"
    return False, f"no area is within: {', '.join(match.areas)}"


def rank(value: Severity | Urgency | Certainty) -> int:
    """Rank a CAP value: 4 for the strongest, down to 1, and 0 for ``Unknown``. CAP lists the strongest first."""
    members = list(type(value))
    return len(members) - 1 - members.index(value)


def choose_level(plan: Plan, report: IncidentReport) -> tuple[Level, str]:
    """Choose the first level whose condition holds, the last one otherwise; say why.

    A condition that can't be decided does not hold: a higher level is then a duty officer's decision.
    """
    doubts: list[str] = []
    for level in plan.levels[:-1]:
        if level.when is None:
            continue
        try:
            if level.when.holds(report, None):
                return level, "; ".join([*doubts, f"level {level.id}: {level.when.source}"])
        except ConditionError as error:
            doubts.append(f"level {level.id} can't be decided: {error}")
    lowest = plan.levels[-1]
    return lowest, "; ".join([*doubts, f"level {lowest.id}: no higher level's condition holds"])


def group_key(plan: Plan, report: IncidentReport) -> str | None:
    """Name the group of reports that one activation of the plan answers; None where each gets its own.

    Reports of different statuses never share a group: a test must not join a drill's response.
    """
    once = plan.match.once
    if once is None:
        return None
    values = {
        "event": (report.event or "").casefold(),
        "category": ",".join(sorted(report.categories)),
        "area": "|".join(sorted(area.description.casefold() for area in report.areas)),
        "geocode": "|".join(sorted(c for a in report.areas for group in a.geocodes.values() for c in group)),
    }
    places = [values[name] for name in once.by if name in {"area", "geocode"}]
    if places and not any(places):
        # Two places that nobody named are not known to be one: each gets its own response rather than none.
        return None
    parts = [report.status.value, plan.id, *(f"{name}={values[name]}" for name in once.by)]
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    return f"{plan.id}:{digest[:32]}"
