"""From events to committed decisions: lock, read, let the engine decide, write all of it in one statement.

This is the one way in for dispatch, tracking and escalation. Whatever is decided about a batch is committed
together with its inbox rows and its messages, or not at all.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from schemas.acknowledgement import Acknowledgement
from schemas.command import Command
from schemas.envelope import ASSIGNMENT, TIMELINE, Envelope, write_value
from schemas.incident import IncidentReport
from schemas.timeline import TimelineEntry
from schemas.topics import ASSIGNMENTS, TIMELINES, topic_name
from schemas.vocabulary import Namespace, Status
from services.domain.decision import Answered, Commanded, Decision, Event, Opening, Outcome, Reported, TimePassed
from services.domain.engine import decide
from services.domain.groups import groups_at_stake
from services.domain.identity import derive_id
from services.domain.incident import Incident
from services.domain.playbook import Playbook
from services.platform.alerts import resolve_alerts
from services.platform.chain import Head, Salt, new_salt, seal
from services.platform.clock import Clock
from services.platform.kafka import Origin
from services.platform.metrics import DECIDE_SECONDS, EVENTS, LATENESS_SECONDS
from services.platform.outbox import LEASE, LEASE_EACH, Draft, Outgoing, envelope_of
from services.platform.postgres import Connection, Pool
from services.platform.published import PublishedPlaybook
from services.platform.queries import query
from services.platform.records import Changes, add_reach, load, rows

_BEFORE = "SELECT event_id, outcome, reason, topic, partition, position FROM inbox WHERE event_id = ANY ($1)"
_REPEATED = Decision(Outcome.REPEATED, "this event was decided before", None)


class Incoming(NamedTuple):
    """An event with its type's name and where it came from.

    ``again_at`` is when it was decided before, in a record that was lost since; that moment counts then.
    """

    event: Reported | Commanded | Answered
    type: str
    origin: Origin
    again_at: datetime | None = None

    @property
    def incident_id(self) -> UUID:
        """The incident the event speaks of."""
        if isinstance(self.event, Reported):
            return self.event.report.incident_id
        if isinstance(self.event, Commanded):
            return self.event.command.incident_id
        return self.event.acknowledgement.incident_id


@dataclass(slots=True)
class Settled:
    """What one batch came to: a decision for each event, and the messages to publish at once."""

    decisions: list[Decision] = field(default_factory=list)
    messages: list[Outgoing] = field(default_factory=list)
    incidents: set[UUID] = field(default_factory=set)


def statuses(namespace: Namespace) -> list[str]:
    """List the statuses a namespace carries."""
    return [status.value for status in Status if Namespace.of(status) is namespace]


class Decider:
    """Decides events of one namespace on record.

    Everybody who decides locks in this order, each kind by one statement that sorts them, so that no two can wait for
    each other: alerts, incidents, groups of reports, heads of chains. Looking for what is due waits for no incident.
    """

    def __init__(
        self,
        pool: Pool,
        playbook: PublishedPlaybook,
        clock: Clock,
        namespace: Namespace,
        source: str,
        salt: Salt = new_salt,
    ) -> None:
        self._pool = pool
        self._playbook = playbook
        self._clock = clock
        self._namespace = namespace
        self._source = source
        self._salt = salt

    async def decide(self, batch: Sequence[Incoming]) -> Settled:
        """Decide a batch in its order and commit it; database errors go to the caller, and nothing is half done."""
        with DECIDE_SECONDS.labels(self._namespace.value).time():
            async with self._pool.acquire() as connection, connection.transaction():
                batch = await self._resolve(connection, [self._by_clock(incoming) for incoming in batch])
                ids = list({incoming.incident_id for incoming in batch})
                await connection.execute(query("lock_incidents"), ids)
                found = await connection.fetch(_BEFORE, [incoming.event.id for incoming in batch])
                seen: dict[UUID, asyncpg.Record | None] = {row["event_id"]: row for row in found}
                answered = _answered(batch)
                known = await load(connection, ids, answered)
                playbook = await self._playbook.current(_digests(known.values()), connection)
                if answered is not None:
                    known = await add_reach(connection, known, playbook.frozen)
                openings = await self._openings(connection, batch, known, playbook)
                work = _Work(self, playbook, known, openings)
                for incoming in batch:
                    id_ = incoming.event.id
                    work.take(incoming, _again(seen[id_], incoming.origin) if id_ in seen else None)
                    seen.setdefault(id_, None)
                settled = await work.save(connection)
        decided = Counter(
            (incoming.type, decision.outcome) for incoming, decision in zip(batch, settled.decisions, strict=True)
        )
        for (kind, outcome), count in decided.items():
            EVENTS.labels(self._namespace.value, kind, outcome.value).inc(count)
        return settled

    async def pass_time(self, at_most: int, *, only: UUID | None = None, again_at: datetime | None = None) -> Settled:
        """Do what has fallen due in at most this many incidents; others' incidents are passed over.

        ``only`` looks at one incident; ``again_at`` as with `Incoming`.
        """
        now = again_at or self._clock.now()
        async with self._pool.acquire() as connection, connection.transaction():
            due = await connection.fetch(query("due_incidents"), now, statuses(self._namespace), at_most, only)
            if not due:
                return Settled()
            for row in due:
                LATENESS_SECONDS.labels(self._namespace.value).observe((now - row["next_due_at"]).total_seconds())
            known = await load(connection, [row["incident_id"] for row in due])
            playbook = await self._playbook.current(_digests(known.values()), connection)
            work = _Work(self, playbook, known, {})
            due_at = {row["incident_id"]: row["next_due_at"] for row in due}
            for incident_id in sorted(known):
                # Made from what fell due, so that it gives the same ids when it is decided again after a restore.
                passed = TimePassed(derive_id(due_at[incident_id], incident_id, 0))
                work.apply(incident_id, passed, again_at or self._clock.now())
            return await work.save(connection)

    def _by_clock(self, incoming: Incoming) -> Incoming:
        """Tell the broker's stamp, which goes by the wall, in the time that the whole record goes by."""
        if incoming.origin.broker_at is None:
            return incoming
        at = self._clock.at(incoming.origin.broker_at)
        if at is incoming.origin.broker_at:
            return incoming
        event = replace(incoming.event, broker_at=at)
        return incoming._replace(event=event, origin=incoming.origin._replace(broker_at=at))

    async def _resolve(self, connection: Connection, batch: Sequence[Incoming]) -> list[Incoming]:
        reports = [item.event.report for item in batch if isinstance(item.event, Reported) and item.event.report.alert]
        if not reports:
            return list(batch)
        belongs = await resolve_alerts(connection, reports)
        resolved: list[Incoming] = []
        for item in batch:
            if isinstance(item.event, Reported) and item.event.report.alert:
                told = item.event.report
                report = told.model_copy(update={"incident_id": belongs[id(told)]})
                item = item._replace(event=replace(item.event, report=report))
            resolved.append(item)
        return resolved

    async def _openings(
        self,
        connection: Connection,
        batch: Sequence[Incoming],
        known: dict[UUID, Incident],
        playbook: Playbook,
    ) -> dict[str, Opening]:
        keys = sorted(groups_at_stake([incoming.event for incoming in batch], known, playbook))
        if not keys:
            return {}
        await connection.execute(query("lock_groups"), keys)
        found = await connection.fetch("SELECT * FROM openings WHERE group_key = ANY ($1)", keys)
        return {row["group_key"]: Opening(row["activation_id"], row["incident_id"], row["until"]) for row in found}

    @property
    def clock(self) -> Clock:
        """The clock that decisions go by."""
        return self._clock

    @property
    def namespace(self) -> Namespace:
        """The world this decider works in."""
        return self._namespace

    @property
    def salt(self) -> Salt:
        """Where the salts of the timeline's entries come from."""
        return self._salt

    @property
    def source(self) -> str:
        """Who the messages say they are from."""
        return self._source


def _again(row: asyncpg.Record | None, origin: Origin) -> Decision:
    """Say what to do about an event that is on record, or was decided in this batch: nothing.

    But a record that was found invalid stays so: its worker may have died before it had set it aside.
    """
    if row is None or row["outcome"] != Outcome.INVALID:
        return _REPEATED
    same = (row["topic"], row["partition"], row["position"]) == (origin.topic, origin.partition, origin.offset)
    return Decision(Outcome.INVALID, row["reason"], None) if same else _REPEATED


def _answered(batch: Sequence[Incoming]) -> dict[UUID, set[UUID]] | None:
    """Name the assignments that a batch of nothing but answers is about: ten of ten thousand are read for ten."""
    answered: dict[UUID, set[UUID]] = {}
    for item in batch:
        if not isinstance(item.event, Answered):
            return None
        answered.setdefault(item.incident_id, set()).add(item.event.acknowledgement.assignment_id)
    return answered


def _digests(incidents: Iterable[Incident]) -> set[str]:
    return {activation.digest for incident in incidents for activation in incident.activations.values()}


class _Work:
    """One transaction's decisions, gathered until they are written together."""

    def __init__(
        self,
        decider: Decider,
        playbook: Playbook,
        known: dict[UUID, Incident],
        openings: dict[str, Opening],
    ) -> None:
        self._decider = decider
        self._playbook = playbook
        self._before = dict(known)
        self._now_known = dict(known)
        self._openings = openings
        self._opened: dict[str, Opening] = {}
        self._released: list[tuple[str, UUID]] = []
        self._inbox: list[tuple[object, ...]] = []
        self._timeline: list[TimelineEntry] = []
        self._drafts: list[Draft] = []
        self.settled = Settled()

    def take(self, incoming: Incoming, before: Decision | None) -> None:
        """Decide one event, or note that it was decided before."""
        if before is not None:
            self.settled.decisions.append(before)
            return
        now = incoming.again_at or self._decider.clock.now()
        decision = self.apply(incoming.incident_id, incoming.event, now)
        told, origin = _message_of(incoming.event), incoming.origin
        # As ``new_input`` has them.
        self._inbox.append(
            (
                *(incoming.event.id, incoming.incident_id, told.status, incoming.type),
                *(decision.outcome, decision.reason),
                *(origin.topic, origin.partition, origin.offset, origin.broker_at),
                *(now, write_value(told).decode()),
            )
        )

    def apply(self, incident_id: UUID, event: Event, now: datetime) -> Decision:
        """Let the engine decide and gather all that follows."""
        decision = decide(self._now_known.get(incident_id), event, now, self._playbook, self._openings)
        if decision.incident is not None:
            self._now_known[incident_id] = decision.incident
        self._openings |= decision.opened
        self._opened |= decision.opened
        for key in decision.released:
            for openings in (self._openings, self._opened):
                if key in openings and openings[key].incident_id == incident_id:
                    del openings[key]
            self._released.append((key, incident_id))
        self._gather(decision, now)
        self.settled.decisions.append(decision)
        return decision

    def _gather(self, decision: Decision, now: datetime) -> None:
        namespace, source = self._decider.namespace, self._decider.source
        self._timeline += decision.entries
        for order in decision.orders:
            message = order.message
            self._drafts.append(
                Draft(
                    topic=topic_name(ASSIGNMENTS, namespace, order.to),
                    incident_id=message.incident_id,
                    envelope=envelope_of(order.id, ASSIGNMENT, source, message.incident_id, now, message.status),
                    value=write_value(message),
                    namespace=namespace,
                    assignment_id=message.assignment_id,
                )
            )

    async def _seal(self, connection: Connection) -> list[TimelineEntry]:
        """Give the entries their places in their chains."""
        # What joined another response is told there too, where others may be at work.
        found = await connection.fetch(query("lock_chains"), list({entry.incident_id for entry in self._timeline}))
        heads = {row["incident_id"]: Head(row["number"], row["hash"]) for row in found}
        return seal(self._timeline, heads, self._decider.salt)

    async def save(self, connection: Connection) -> Settled:
        """Write everything in one statement and say which messages this worker publishes."""
        changes = Changes()
        for incident_id, after in self._now_known.items():
            before = self._before.get(incident_id)
            if after is not before:
                changes.add(before, after, datetime.now(UTC))
        openings = [
            {
                "group_key": key,
                "status": self._now_known[opening.incident_id].status,
                "activation_id": opening.activation_id,
                "incident_id": opening.incident_id,
                "until": opening.until,
            }
            for key, opening in self._opened.items()
        ]
        entries = await self._seal(connection)
        told = [write_value(entry) for entry in entries]
        incidents = {draft.incident_id for draft in self._drafts} | {entry.incident_id for entry in entries}
        namespace, source = self._decider.namespace, self._decider.source
        topic = topic_name(TIMELINES, namespace)
        saved = await connection.fetch(
            query("save_decisions"),
            self._inbox,
            rows(changes.incidents),
            rows(changes.activations),
            changes.assignments,
            rows(changes.obstacles),
            [value.decode() for value in told],
            [draft.row() for draft in self._drafts],
            rows(openings),
            [key for key, _ in self._released],
            [incident_id for _, incident_id in self._released],
            max(LEASE, LEASE_EACH * (len(self._drafts) + len(entries))),
            list(incidents),
            *(namespace, topic, source),
        )
        kept = [None if row["behind"] else row["seq"] for row in saved]
        at = len(self._drafts)
        messages = [draft.with_seq(seq) for draft, seq in zip(self._drafts, kept, strict=False) if seq is not None]
        messages += [
            Outgoing(seq, topic, entry.incident_id, _envelope_of(entry, source), value)
            for entry, value, seq in zip(entries, told, kept[at:], strict=True)
            if seq is not None
        ]
        self.settled.incidents, self.settled.messages = incidents, messages
        return self.settled


def _envelope_of(entry: TimelineEntry, source: str) -> Envelope:
    return envelope_of(entry.entry_id, TIMELINE, source, entry.incident_id, entry.recorded_at, entry.status)


def _message_of(event: Reported | Commanded | Answered) -> IncidentReport | Command | Acknowledgement:
    if isinstance(event, Reported):
        return event.report
    return event.command if isinstance(event, Commanded) else event.acknowledgement
