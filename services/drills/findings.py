"""Strengths and gaps that a drill's record shows, and the improvement items to propose for the gaps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from schemas.base import Text
from schemas.timeline import Entry
from services.domain.incident import Deadline
from services.drills.evidence import AN_ANSWER, ANSWERED, SILENCE, Checks, Proofs, Trail, Wanted
from services.drills.improvements import Proposal
from services.drills.ledger import silent
from services.drills.measured import Item
from services.drills.report import LISTED, DepartmentRow, Moment, Numbers, Verdict

SHOWN = 12
"""Entries that a finding points to at most; one about silence points to as many as are listed."""
Evidence = Mapping[str, Checks]
"""What the objectives were judged by, by id."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A strength or a gap. ``key`` names it, the same for the same drill whenever the report is made."""

    key: str
    text: Text
    evidence: tuple[Moment, ...]
    proposal: Proposal | None = None


@dataclass(frozen=True, slots=True)
class Pointers:
    """Whose entries findings about departments point to: places in the ledger.

    ``quick`` are the first answers of those that were within their target every time; ``silent`` what each department
    never answered, by task; ``late`` the first deadlines that each missed, with how many of its orders did.
    """

    quick: Sequence[int]
    silent: Mapping[str, Mapping[str, Sequence[int]]]
    late: Mapping[str, tuple[int, Sequence[tuple[int, Deadline]]]]


def pointers(trail: Trail) -> Pointers:
    """Find whose entries are to be pointed to."""
    numbers, ledger = trail.numbers, trail.ledger
    named = {row.id for row in _quick(numbers)}
    answered = ledger.told(*ANSWERED)
    quick = (
        place
        for place, (department, at) in enumerate(zip(ledger.department, answered, strict=True))
        if at is not None and department in named
    )
    unanswered: dict[str, dict[str, list[int]]] = {}
    never = list(silent(numbers.observed))
    for place in never:
        unanswered.setdefault(ledger.department[place], {}).setdefault(ledger.task[place], []).append(place)
    missed: dict[str, list[int]] = {}
    known = set(never)
    for place, names in enumerate(ledger.missed):
        if names and place not in known:
            missed.setdefault(ledger.department[place], []).append(place)
    overdue = ledger.told(Entry.OVERDUE)
    late = {}
    for department, places in missed.items():
        told = islice((place for place in places if overdue[place] is not None), SHOWN)
        pairs = [(place, each) for place in told for each in Deadline if ledger.has_missed(place, each)]
        late[department] = (len(places), pairs)
    return Pointers(tuple(islice(quick, SHOWN)), unanswered, late)


def _quick(numbers: Numbers) -> list[DepartmentRow]:
    return [row for row in numbers.departments if row.turnout.n and row.turnout.within_target == 1.0]


def strengths(
    trail: Trail, items: tuple[Item, ...], evidence: Evidence, pointers: Pointers, proofs: Proofs
) -> Iterator[Finding]:
    """List what went as it should."""
    numbers = trail.numbers
    for row in numbers.objectives:
        shown = _shown(evidence[row.rule.id], ok=True)
        if row.verdict is Verdict.MET:
            yield Finding(f"objective:{row.rule.id}", row.rule.title, shown)
    for item in items:
        if item.verdict is Verdict.MET:
            yield Finding(f"item:{item.id}", item.title, _shown(item.checks, ok=True))
    quick = _quick(numbers)
    if quick:
        text = Text(
            en=f"Within the turnout target every time: {', '.join(row.title.en for row in quick)}",
            zh=f"历次出动准备均在目标时间内：{'、'.join(row.title.zh for row in quick)}",
        )
        moments = (proofs.find(place, AN_ANSWER) for place in pointers.quick)
        yield Finding("turnout", text, tuple(each for each in moments if each))


def gaps(
    trail: Trail, items: tuple[Item, ...], evidence: Evidence, pointers: Pointers, proofs: Proofs
) -> Iterator[Finding]:
    """List what did not, each with the improvement item that it calls for."""
    yield from _objective_gaps(trail.numbers, evidence)
    yield from _item_gaps(trail.numbers, items)
    for row in trail.numbers.departments:
        yield from _silence(trail, row, pointers, proofs)
        yield from _lateness(row, pointers, proofs)
    yield from _unfilled(trail)
    yield from _obstacles(trail)


def _shown(checks: Checks, *, ok: bool) -> tuple[Moment, ...]:
    return tuple(check.moment for check in checks.shown if check.ok is ok)[:SHOWN]


def _objective_gaps(numbers: Numbers, evidence: Evidence) -> Iterator[Finding]:
    owner = _plan_owner(numbers)
    for row in numbers.objectives:
        if row.verdict in {Verdict.NOT_MET, Verdict.PARTLY_MET}:
            key, title = f"objective:{row.rule.id}", row.rule.title
            partly = row.verdict is Verdict.PARTLY_MET
            text = Text(
                en=f"Objective {'only partly' if partly else 'not'} met: {title.en}",
                zh=f"目标{'仅部分达到' if partly else '未达到'}：{title.zh}",
            )
            better = Text(
                en=f"Find out why this was not reached, and exercise it again: {title.en}",
                zh=f"查明未达到的原因并再次演练：{title.zh}",
            )
            yield Finding(key, text, _shown(evidence[row.rule.id], ok=False), Proposal(key, better, owner))


def _item_gaps(numbers: Numbers, items: tuple[Item, ...]) -> Iterator[Finding]:
    owner = _plan_owner(numbers)
    for item in items:
        if item.verdict in {Verdict.NOT_MET, Verdict.PARTLY_MET}:
            key = f"item:{item.id}"
            held, total = item.checks.held, item.checks.total
            text = Text(
                en=f"Shown in only {held} of {total} cases: {item.title.en}",
                zh=f"{total}项中仅{held}项做到：{item.title.zh}",
            )
            better = Text(en=f"Bring into order: {item.title.en}", zh=f"整改：{item.title.zh}")
            yield Finding(key, text, _shown(item.checks, ok=False), Proposal(key, better, owner))


def _unfilled(trail: Trail) -> Iterator[Finding]:
    for moment in trail.all(Entry.UNFILLED):
        task = moment.task or Text(en="–", zh="–")
        key = f"unfilled:{moment.detail.get('task')}"
        text = Text(en=f"Nobody was left to call for «{task.en}»", zh=f"“{task.zh}”已无可替补单位")
        better = Text(en=f"Name a further deputy for «{task.en}»", zh=f"为“{task.zh}”增设替补单位")
        yield Finding(key, text, (moment,), Proposal(key, better, _plan_owner(trail.numbers)))


def _obstacles(trail: Trail) -> Iterator[Finding]:
    seen: set[str] = set()
    for moment in trail.all(Entry.BLOCKED):
        task = moment.task or Text(en="–", zh="–")
        department = moment.department or "–"
        key = f"obstacle:{department}:{moment.detail.get('task')}"
        name = trail.numbers.titles.department(department)
        text = Text(en=f"{name.en} was held up in «{task.en}»", zh=f"{name.zh}执行“{task.zh}”受阻")
        better = Text(
            en=f"Provide beforehand for what held {name.en} up in «{task.en}»",
            zh=f"预先解决{name.zh}执行“{task.zh}”时的受阻问题",
        )
        if key not in seen:
            seen.add(key)
            yield Finding(key, text, (moment,), Proposal(key, better, department))


def _silence(trail: Trail, row: DepartmentRow, pointers: Pointers, proofs: Proofs) -> Iterator[Finding]:
    ledger = trail.ledger
    for task, places in pointers.silent.get(row.id, {}).items():
        key, title = f"silent:{row.id}:{task}", trail.task(places[0])
        received = any(ledger.at["delivered_at"][place] is not None for place in places)
        text = Text(
            en=f"{row.title.en} {'received and never answered' if received else 'never received'} «{title.en}»",
            zh=f"{row.title.zh}{'收到但从未应答' if received else '从未收到'}“{title.zh}”",
        )
        better = (
            Text(
                en=f"{row.title.en}: man the duty desk so that orders are answered, and exercise the call-out",
                zh=f"{row.title.zh}：落实值班值守，确保任务有人应答，并演练紧急呼叫",
            )
            if received
            else Text(
                en=f"{row.title.en}: mend the line by which orders arrive, and check it every day",
                zh=f"{row.title.zh}：修复任务接收通道，并每日检查",
            )
        )
        moments = (proofs.find(place, SILENCE) for place in places[:LISTED])
        yield Finding(key, text, tuple(each for each in moments if each), Proposal(key, better, row.id))


def _lateness(row: DepartmentRow, pointers: Pointers, proofs: Proofs) -> Iterator[Finding]:
    if row.id in pointers.late:
        key = f"late:{row.id}"
        count, late = pointers.late[row.id]
        text = Text(
            en=f"{row.title.en} missed deadlines of {count} of its {row.orders} orders",
            zh=f"{row.title.zh}的{row.orders}项任务中有{count}项曾超时",
        )
        better = Text(
            en=f"{row.title.en}: find out what kept it from its deadlines; change its means or the plan's times",
            zh=f"{row.title.zh}：查明超时原因，调整力量配备或预案时限",
        )
        moments = (proofs.find(place, Wanted((Entry.OVERDUE,), deadline)) for place, deadline in late)
        shown = tuple(moment for moment in moments if moment is not None)[:SHOWN]
        yield Finding(key, text, shown, Proposal(key, better, row.id))


def _plan_owner(numbers: Numbers) -> str:
    """Name who owns the plan that was exercised: what concerns no single department is theirs."""
    for response in numbers.responses:
        owner = numbers.documents.get(response.digest, {}).get("owner")
        if owner:
            return str(owner)
    return numbers.departments[0].id if numbers.departments else "duty officer"
