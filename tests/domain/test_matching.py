"""Matching: which plans answer a report, and why."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.incident import Area, IncidentReport
from schemas.vocabulary import Category, Certainty, Severity, Urgency
from services.domain.matching import Answers, PlanIndex, choose_level, judge, rank
from services.domain.plan import Condition, Level, Match
from tests.domain.builders import TWO_LEVELS, make_area, make_plan, make_report, measured, severity_is, text

MET = frozenset({Category.MET})


def verdict_on(match: Match, **report: Any) -> tuple[Answers, str]:
    verdict = judge(make_plan(match=match), make_report(**report))
    return verdict.answers, "; ".join(verdict.reasons)


@pytest.mark.parametrize(
    ("event", "mentioned"),
    [
        ("Flash flooding", "flood"),
        ("Unflooded", None),
        ("unflooded, then flood", "flood"),
        ("Flames at the inflammable store", None),
        ("FLA issued", "fla"),
        ("a FLA", "fla"),
        ("山洪暴发", "洪"),
    ],
)
def test_a_word_is_met_where_it_begins_a_word_and_a_short_one_only_whole(event: str, mentioned: str | None) -> None:
    answers, reason = verdict_on(Match(MET, events=("flood", "fla", "洪")), event=event)
    assert answers is (Answers.YES if mentioned else Answers.NO)
    assert f"mentions “{mentioned}”" in reason or mentioned is None


def test_a_plan_answers_a_report_that_shares_a_category_with_it() -> None:
    match = Match(frozenset({Category.MET, Category.FIRE}))
    assert verdict_on(match, categories=(Category.HEALTH, Category.FIRE)) == (Answers.YES, "category Fire")
    assert verdict_on(match, categories=(Category.HEALTH,)) == (Answers.NO, "category Health is not among Fire, Met")


def test_a_report_without_a_category_is_told_which_ones_were_asked_for() -> None:
    assert verdict_on(Match(MET), categories=()) == (Answers.NO, "the report names no category, the plan asks for Met")


@pytest.mark.parametrize(
    "told",
    [
        {"event": "FLASH FLOOD warning"},
        {"event": None, "headline": "Flash Flood in the old town"},
        {"event": "Warning", "event_codes": {"SAME": ("FFW", "flash flood")}},
    ],
)
def test_an_event_word_is_found_in_event_headline_or_codes_letter_case_aside(told: dict[str, Any]) -> None:
    answers, reason = verdict_on(Match(MET, events=("storm", "flash flood")), **told)
    assert answers is Answers.YES
    assert "event mentions “flash flood”" in reason


def test_a_plan_whose_words_do_not_occur_does_not_answer() -> None:
    answers, reason = verdict_on(Match(MET, events=("storm", "hail")), event=None)
    assert (answers, reason) == (Answers.NO, "category Met; event “” mentions none of: storm, hail")


MINIMUM = Match(MET, severity=Severity.SEVERE, urgency=Urgency.EXPECTED, certainty=Certainty.LIKELY)
ENOUGH = {"severity": Severity.SEVERE, "urgency": Urgency.EXPECTED, "certainty": Certainty.LIKELY}


def test_an_incident_at_the_minimum_or_above_is_answered() -> None:
    assert verdict_on(MINIMUM, **ENOUGH)[0] is Answers.YES
    above = {"severity": Severity.EXTREME, "urgency": Urgency.IMMEDIATE, "certainty": Certainty.OBSERVED}
    assert verdict_on(MINIMUM, **above)[0] is Answers.YES


@pytest.mark.parametrize(
    ("below", "reason"),
    [
        ({"severity": Severity.MODERATE}, "severity Moderate is below Severe"),
        ({"urgency": Urgency.FUTURE}, "urgency Future is below Expected"),
        ({"certainty": Certainty.POSSIBLE}, "certainty Possible is below Likely"),
    ],
)
def test_an_incident_below_a_minimum_is_not_answered(below: dict[str, Any], reason: str) -> None:
    assert verdict_on(MINIMUM, **ENOUGH | below) == (Answers.NO, f"category Met; {reason}")


@pytest.mark.parametrize("name", ["severity", "urgency", "certainty"])
def test_what_is_unknown_is_not_ruled_out_by_a_minimum(name: str) -> None:
    answers, reason = verdict_on(MINIMUM, **ENOUGH | {name: "Unknown"})
    assert answers is Answers.YES
    assert f"{name} is unknown and so not ruled out" in reason


def test_ranks_follow_the_order_of_cap_with_unknown_at_nought() -> None:
    assert [rank(value) for value in Severity] == [4, 3, 2, 1, 0]
    assert [rank(value) for value in Urgency] == [4, 3, 2, 1, 0]
    assert [rank(value) for value in Certainty] == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("area", [make_area("The NORTH BANK of the river"), make_area("Anywhere", "006038", "006037")])
def test_an_area_is_known_by_a_part_of_its_description_or_the_beginning_of_a_code(area: object) -> None:
    match = Match(MET, areas=("north bank", "0060370", "006037"))
    assert verdict_on(match, areas=(make_area("Elsewhere", "99"), area))[0] is Answers.YES


def test_a_report_from_no_wanted_area_is_not_answered() -> None:
    answers, reason = verdict_on(Match(MET, areas=("north bank", "37")), areas=(make_area("South", "006037"),))
    assert (answers, reason) == (Answers.NO, "category Met; no area is within: north bank, 37")


def test_a_guard_decides_last() -> None:
    match = Match(MET, when=measured("depth", 2))
    assert verdict_on(match, parameters={"depth": 3.0}) == (
        Answers.YES,
        "category Met; guard holds: parameters.depth >= 2",
    )
    assert verdict_on(match, parameters={"depth": 1.0}) == (
        Answers.NO,
        "category Met; guard does not hold: parameters.depth >= 2",
    )


def test_a_guard_that_cannot_be_decided_leaves_the_plan_unsure_and_says_why() -> None:
    answers, reason = verdict_on(Match(MET, when=measured("depth", 2)))
    assert answers is Answers.UNSURE
    assert reason == "category Met; guard can't be decided: parameters.depth was not reported"


def test_a_report_that_names_no_area_leaves_a_plan_for_some_area_in_doubt() -> None:
    answers, reason = verdict_on(Match(MET, areas=("north bank",)))
    assert answers is Answers.UNSURE
    assert "for a person to say" in reason
    assert verdict_on(Match(MET, areas=("north bank",), when=severity_is(Severity.MINOR)))[0] is Answers.NO


def test_a_guard_is_not_asked_once_a_cheaper_test_has_ruled_the_plan_out() -> None:
    def explode(report: IncidentReport, level: str | None) -> bool:
        raise AssertionError(report, level)

    match = Match(MET, areas=("north bank",), when=Condition("explode", explode))
    assert verdict_on(match, areas=(make_area("South bank"),))[0] is Answers.NO


def test_the_index_gives_plans_by_priority_then_name_and_each_once() -> None:
    both = frozenset({Category.MET, Category.GEO})
    plans = [
        make_plan(name="b", match=Match(both)),
        make_plan(name="c", match=Match(MET, priority=90)),
        make_plan(name="a", match=Match(both)),
        make_plan(name="d", match=Match(frozenset({Category.FIRE}), priority=100)),
    ]
    index = PlanIndex(plans)
    report = make_report(categories=(Category.GEO, Category.MET, Category.MET))
    assert [plan.id for plan in index.candidates(report)] == ["c", "a", "b"]
    assert [verdict.plan.id for verdict in index.matches(report)] == ["c", "a", "b"]
    assert list(index.by_id) == ["d", "c", "a", "b"]


def test_matches_holds_the_unsure_and_leaves_out_the_ruled_out() -> None:
    plans = [
        make_plan(name="sure"),
        make_plan(name="unsure", match=Match(MET, when=measured("depth", 2))),
        make_plan(name="no", match=Match(MET, events=("volcano",))),
    ]
    found = {verdict.plan.id: verdict.answers for verdict in PlanIndex(plans).matches(make_report())}
    assert found == {"sure": Answers.YES, "unsure": Answers.UNSURE}


words = st.text("ab 水", min_size=1, max_size=3)
codes = st.dictionaries(st.just("SAME"), st.lists(words, max_size=2).map(tuple), max_size=1)
rules = st.builds(
    Match,
    st.frozensets(st.sampled_from([Category.MET, Category.GEO]), min_size=1),
    events=st.lists(words, max_size=2).map(tuple),
    areas=st.lists(words, max_size=2).map(tuple),
)


@given(
    rules=st.lists(rules, max_size=6),
    told=st.fixed_dictionaries(
        {
            "categories": st.lists(st.sampled_from(list(Category)[:4]), max_size=2).map(tuple),
            "event": st.none() | st.text("abAB 水", max_size=8),
            "headline": st.none() | st.text("ab水\n", max_size=8),
            "event_codes": codes,
            "areas": st.lists(
                st.builds(lambda name, found: Area(description=name, geocodes=found), words, codes), max_size=2
            ).map(tuple),
        }
    ),
)
def test_the_index_passes_over_no_plan_that_answers(rules: list[Match], told: dict[str, Any]) -> None:
    index = PlanIndex(make_plan(name=f"plan-{place}", match=rule) for place, rule in enumerate(rules))
    report = make_report(**told)
    answering = [verdict for verdict in index.explain(report) if verdict.answers is not Answers.NO]
    assert index.matches(report) == answering


def test_explain_judges_also_the_plans_the_index_passes_over() -> None:
    plans = [make_plan(name="a"), make_plan(name="b", match=Match(frozenset({Category.FIRE})))]
    found = [(verdict.plan.id, verdict.answers) for verdict in PlanIndex(plans).explain(make_report())]
    assert found == [("a", Answers.YES), ("b", Answers.NO)]


def test_the_first_level_whose_condition_holds_is_chosen_and_named() -> None:
    plan = make_plan(levels=(*TWO_LEVELS[:1], Level("II", text("two"), severity_is(Severity.EXTREME)), TWO_LEVELS[1]))
    level, why = choose_level(plan, make_report(severity=Severity.EXTREME))
    assert level.id == "I"
    assert why.startswith("level I: severity in")


def test_the_lowest_level_is_chosen_where_no_higher_one_holds() -> None:
    level, why = choose_level(make_plan(levels=TWO_LEVELS), make_report())
    assert (level.id, why) == ("II", "level II: no higher level's condition holds")


def test_a_level_condition_that_cannot_be_decided_does_not_hold_and_the_doubt_is_told() -> None:
    levels = (
        Level("I", text("one"), measured("depth", 2)),
        Level("II", text("two"), severity_is(Severity.MODERATE)),
        Level("III", text("three")),
    )
    level, why = choose_level(make_plan(levels=levels), make_report())
    assert level.id == "II"
    assert why.startswith("level I can't be decided: parameters.depth was not reported; level II: ")


def test_a_higher_level_without_a_condition_is_for_people_to_choose() -> None:
    level, _ = choose_level(make_plan(levels=(Level("I", text("one")), Level("II", text("two")))), make_report())
    assert level.id == "II"
