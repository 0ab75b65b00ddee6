"""What another plan would have changed: two replays of one incident, held against each other.

Both are replays, so that what differs is the plan's doing and not that of a live service's hundredths of a second.
Orders that only the other plan gives have no answers on record. What then follows from their silence is told apart:
it shows what the plan does about silence, and not what the departments would have done.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import AssignmentState
from services.domain.incident import Activation, Assignment
from services.domain.plan import Plan
from services.drills.recorded import Key, Recorded
from services.drills.replay import WITHOUT_EFFECT, Played, Replay, replay

_FOLLOWED_UP = frozenset({Entry.OVERDUE, Entry.REMINDED, Entry.ESCALATED, Entry.UNFILLED, Entry.CONFIRMATION_OVERDUE})


@dataclass(frozen=True, slots=True)
class Given:
    """One order: who, what, by when. Times are from the incident's first report on.

    ``unheard``: nobody was asked then, so no answer is on record. ``silent`` names the departments that were called
    for the same task before it and are unheard: it would not have been called, had they answered.
    ``waits_for``: what it comes after and nobody could answer for, where that may be why it is not given.
    """

    plan: str
    task: str
    department: str
    issued: timedelta
    acknowledge_by: timedelta | None
    start_by: timedelta | None
    complete_by: timedelta | None
    state: AssignmentState
    unheard: bool = False
    silent: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Followed:
    """One missed deadline, reminder or escalation; ``step`` names the deadline or the rung."""

    kind: Entry
    step: str | None
    plan: str | None
    task: str | None
    department: str | None
    at: timedelta
    unheard: bool = False


@dataclass(frozen=True, slots=True)
class InForce:
    """One plan's part: ``levels`` in the order they were in force, each with its time."""

    plan: str
    version: int
    state: str
    activated: timedelta | None
    levels: tuple[tuple[str | None, timedelta], ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """The same order twice; ``fields`` names what differs."""

    before: Given
    after: Given
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """What would differ. ``not_applicable`` and ``turned_down`` are inputs that had an effect then and have none now.

    ``taken_now`` are those that had none then and have one now.
    """

    plans: tuple[tuple[InForce | None, InForce | None], ...]
    added: tuple[Given, ...]
    gone: tuple[Given, ...]
    changed: tuple[Changed, ...]
    followed_added: tuple[Followed, ...]
    followed_gone: tuple[Followed, ...]
    followed_moved: tuple[tuple[Followed, Followed], ...]
    not_applicable: tuple[Played, ...]
    turned_down: tuple[Played, ...]
    taken_now: tuple[Played, ...]

    def __bool__(self) -> bool:
        """Say whether anything differs."""
        return any(getattr(self, each.name) for each in fields(self))


def under(recorded: Recorded, plan: Plan) -> Differences:
    """Say what another wording of a plan, in force for the whole time, would have changed.

    Both replays are watched for as long as the longer of the two.
    """
    after = replay(recorded.under(plan))
    return compare(replay(recorded, until=after.ended_at), after)


def compare(before: Replay, after: Replay) -> Differences:
    """Hold a replay under another plan against the one under the plans of the time."""
    old, new = _Told(before, frozenset()), _Told(after, frozenset(before.keys.values()))
    added, gone, changed = _orders(old.given, new.given)
    more, less, moved = _pairs(old.followed, new.followed)
    lost, turned_down, taken_now = _inputs(before.played, after.played)
    return Differences(
        plans=tuple(_plans(old.in_force, new.in_force)),
        added=tuple(added),
        gone=tuple(replace(given, waits_for=_waits_for(given, new, after)) for given in gone),
        changed=tuple(changed),
        followed_added=tuple(more),
        followed_gone=tuple(less),
        followed_moved=tuple(moved),
        not_applicable=tuple(lost),
        turned_down=tuple(turned_down),
        taken_now=tuple(taken_now),
    )


def _waits_for(given: Given, new: "_Told", after: Replay) -> tuple[str, ...]:
    plan = next((each for each in after.incident.activations.values() if each.plan == given.plan), None)
    if plan is None or given.task not in after.plans[plan.digest].tasks:
        return ()
    tasks, behind, found = after.plans[plan.digest].tasks, [given.task], dict[str, None]()
    while behind:
        for name in tasks[behind.pop()].after:
            if name not in found:
                found[name] = None
                behind.append(name)
    unheard = {each.task for each in new.given.values() if each.unheard and each.plan == given.plan}
    return tuple(name for name in found if name in unheard)


class _Told:
    """One replay in the words of a comparison."""

    def __init__(self, replay: Replay, known: frozenset[Key]) -> None:
        self._replay = replay
        self._start = replay.entries[0].recorded_at
        self._unheard = self._silent(known) if known else set()
        self.given: dict[Key, Given] = {key: self._given(key, order) for key, order in replay.orders.items()}
        self.followed = [
            self._followed(entry) for entry in replay.entries if entry.entry in _FOLLOWED_UP and not entry.by
        ]
        self.in_force = {each.plan: self._in_force(each) for each in replay.incident.activations.values()}

    def _silent(self, known: frozenset[Key]) -> set[Key]:
        """Name the orders whose silence is only the record's: nobody was asked then, so nobody answered."""
        heard = {played.about for played in self._replay.played if played.outcome is not None}
        return {key for key in self._replay.orders if key not in known and key not in heard}

    def _since(self, at: datetime | None) -> timedelta | None:
        return None if at is None else at - self._start

    def _given(self, key: Key, order: Assignment) -> Given:
        return Given(
            plan=key.plan,
            task=key.task,
            department=key.department,
            issued=order.issued_at - self._start,
            acknowledge_by=self._since(order.acknowledge_by),
            start_by=self._since(order.start_by),
            complete_by=self._since(order.complete_by),
            state=order.state,
            unheard=key in self._unheard,
            silent=self._silent_before(key, order),
        )

    def _silent_before(self, key: Key, order: Assignment) -> tuple[str, ...]:
        before = (
            other.department
            for other in sorted(self._unheard)
            if (other.plan, other.task) == (key.plan, key.task)
            and other != key
            and self._replay.orders[other].issued_at < order.issued_at
        )
        return tuple(dict.fromkeys(before))

    def _followed(self, entry: TimelineEntry) -> Followed:
        key = self._replay.keys[entry.assignment_id] if entry.assignment_id else None
        plan = entry.detail.get("plan")
        task = key.task if key else entry.detail.get("task")
        if key is None:
            silent = any((each.plan, each.task) == (plan, task) for each in self._unheard)
        else:
            silent = key in self._unheard or bool(self.given[key].silent)
        step = entry.detail.get("step") or entry.detail.get("deadline")
        return Followed(entry.entry, step, plan, task, key.department if key else None, self._at(entry), silent)

    def _at(self, entry: TimelineEntry) -> timedelta:
        return entry.recorded_at - self._start

    def _in_force(self, activation: Activation) -> InForce:
        levels = tuple(
            (entry.detail.get("level"), self._at(entry))
            for entry in self._replay.entries
            if entry.activation_id == activation.id and entry.entry in {Entry.ACTIVATED, Entry.LEVEL_CHANGED}
        )
        at = self._since(activation.activated_at)
        return InForce(activation.plan, activation.version, activation.state.value, at, levels)


def _plans(old: Mapping[str, InForce], new: Mapping[str, InForce]) -> Iterable[tuple[InForce | None, InForce | None]]:
    for plan in dict.fromkeys((*old, *new)):
        if old.get(plan) != new.get(plan):
            yield old.get(plan), new.get(plan)


_COMPARED = ("department", "issued", "acknowledge_by", "start_by", "complete_by", "state")


def _orders(old: Mapping[Key, Given], new: Mapping[Key, Given]) -> tuple[list[Given], list[Given], list[Changed]]:
    """Pair orders that are the same, then those of one task that went to another department instead."""
    gone = {key: given for key, given in old.items() if key not in new}
    added = {key: given for key, given in new.items() if key not in old}
    pairs = [(given, new[key]) for key, given in old.items() if key in new]
    for key, given in list(gone.items()):
        instead = next((other for other in added if (other.plan, other.task) == (key.plan, key.task)), None)
        if instead is not None:
            pairs.append((given, added.pop(instead)))
            del gone[key]
    changed: list[Changed] = []
    for before, after in pairs:
        compared = _COMPARED[:-1] if after.unheard or after.silent else _COMPARED
        names = tuple(name for name in compared if getattr(before, name) != getattr(after, name))
        if names:
            changed.append(Changed(before, after, names))
    return list(added.values()), list(gone.values()), changed


_What = tuple[Entry, str | None, str | None, str | None, str | None]


def _pairs(
    old: Sequence[Followed], new: Sequence[Followed]
) -> tuple[list[Followed], list[Followed], list[tuple[Followed, Followed]]]:
    by_what: dict[_What, tuple[list[Followed], list[Followed]]] = defaultdict(lambda: ([], []))
    for side, followed in ((0, old), (1, new)):
        for each in followed:
            by_what[(each.kind, each.step, each.plan, each.task, each.department)][side].append(each)
    more: list[Followed] = []
    less: list[Followed] = []
    moved: list[tuple[Followed, Followed]] = []
    for before, after in by_what.values():
        both = min(len(before), len(after))
        moved += [(a, b) for a, b in zip(before, after, strict=False) if a.at != b.at]
        less += before[both:]
        more += after[both:]
    return sorted(more, key=_when), sorted(less, key=_when), sorted(moved, key=lambda pair: _when(pair[1]))


def _when(followed: Followed) -> timedelta:
    return followed.at


def _inputs(before: Sequence[Played], after: Sequence[Played]) -> tuple[list[Played], list[Played], list[Played]]:
    lost: list[Played] = []
    turned_down: list[Played] = []
    taken_now: list[Played] = []
    then = {played.input.event_id: played for played in before}
    for played in after:
        had_effect = _has_effect(then[played.input.event_id])
        if played.outcome is None:
            lost.append(played)
        elif had_effect and not _has_effect(played):
            turned_down.append(played)
        elif not had_effect and _has_effect(played):
            taken_now.append(played)
    return lost, turned_down, taken_now


def _has_effect(played: Played) -> bool:
    return played.outcome is not None and played.outcome not in WITHOUT_EFFECT
