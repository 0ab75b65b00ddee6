"""What matching costs with ten plans in force and with ten thousand: the engine alone, as dispatch calls it."""

from collections.abc import Callable
from dataclasses import replace
from time import process_time

from schemas.incident import IncidentReport
from schemas.vocabulary import Category
from services.bench import material
from services.bench.figures import Row, Target, figure, quotients
from services.bench.plan import Plan as Sizes
from services.bench.stage import BenchError, Stage
from services.domain.matching import PlanIndex
from services.domain.plan import Plan
from services.playbooks.plans import compile_plan

KINDS = 30
"""Kinds of event that the plans answer; as many districts as it takes have a plan for each."""
REPEATS = 400
TURNS = 7
THREEFOLD = Target(at_most=3)


async def run(stage: Stage, plan: Sizes) -> list[Row]:
    """Match one report against indexes of growing size, in turns."""
    del stage
    report = material.report()
    indexes = {count: PlanIndex(plans(count)) for count in plan.plan_counts}
    if any(len(index.matches(report)) != 1 for index in indexes.values()):
        raise BenchError("exactly one plan should have answered")
    taken: dict[int, list[float]] = {count: [] for count in indexes}
    for _ in range(TURNS):
        for count, index in indexes.items():
            taken[count].append(_cost(index.matches, report))
    rows = [
        Row("plans", f"plans.{count}", f"matching, {count:,} plans", figure(values, "us CPU"))
        for count, values in taken.items()
    ]
    few, many = plan.plan_counts[0], plan.plan_counts[-1]
    growth = quotients(taken[many], taken[few])
    title = f"matching, {many:,} plans of {few:,}"
    rows.append(Row("plans", "plans.growth", title, growth, of=f"{few:,} plans", target=THREEFOLD))
    return rows


def plans(count: int) -> list[Plan]:
    """Make plans for many kinds of event in many districts; the first alone answers what is reported."""
    mould = compile_plan(material.plan("bench"))
    categories = list(Category)
    made = [mould]
    for number in range(1, count):
        district, kind = divmod(number, KINDS)
        match = replace(
            mould.match,
            # Every thirtieth plan is for the very event that is reported, elsewhere.
            events=mould.match.events if kind == 0 else (f"matter {kind}",),
            categories=mould.match.categories if kind == 0 else frozenset({categories[kind % len(categories)]}),
            areas=(f"district {district} of the north",),
        )
        made.append(replace(mould, id=f"plan-{number}", digest=f"{number:064}", match=match))
    return made


def _cost(matches: Callable[[IncidentReport], object], report: IncidentReport) -> float:
    begun = process_time()
    for _ in range(REPEATS):
        matches(report)
    return (process_time() - begun) / REPEATS * 1e6
