"""What an inject does when it is played: a report, a decision, a department's trouble, a lost service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from schemas.command import Activate, ChangeLevel
from schemas.drill import InjectKind, InjectRule, Service
from services.drills.conduct import Conduct
from services.drills.losses import ServiceProcess
from services.drills.messages import Voice
from services.drills.msel import needs_decision
from services.drills.record import DrillError, DrillRow, note_detail, note_inject
from services.drills.scenario import zone_of
from services.drills.switchboard import Switchboard
from services.drills.telling import TELLING, report_of
from services.platform.postgres import Pool


@dataclass(frozen=True, slots=True)
class Stage:
    """What a scenario can act on: simulated departments with their lines, and services that may be killed."""

    switchboard: Switchboard | None = None
    conducts: Mapping[str, Conduct] = field(default_factory=dict)
    services: Mapping[Service, ServiceProcess] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Return:
    """Something that comes back at a moment of the scenario."""

    at: datetime
    inject: InjectRule


class Effects:
    """Carries out the injects of one drill, and brings back what they took away."""

    def __init__(self, row: DrillRow, pool: Pool, voice: Voice, stage: Stage) -> None:
        self._row = row
        self._pool = pool
        self._voice = voice
        self._stage = stage
        self._zone = zone_of(row.document, row.started_at)
        self._returns: list[_Return] = []
        self.incidents: dict[str, UUID] = {}

    @property
    def is_something_lost(self) -> bool:
        """Whether a service or a consumer that was lost is not back yet."""
        return bool(self._returns)

    @property
    def is_a_service_lost(self) -> bool:
        """Whether a killed service has not been started again."""
        return any(each.inject.kind is InjectKind.SERVICE_LOSS for each in self._returns)

    async def play(self, inject: InjectRule, released_by: str | None) -> None:
        """Put an inject on record and carry it out."""
        at = self._voice.moment()
        event_id = uuid7()
        incident_id = self._incident_of(inject)
        await note_inject(
            self._pool,
            self._row.id,
            inject.id,
            event_id,
            incident_id,
            at,
            awaits_decision=needs_decision(inject),
            released_by=released_by,
        )
        if inject.kind in TELLING and incident_id is not None:
            report = report_of(self._row.document, inject, incident_id, at.astimezone(self._zone))
            await self._voice.report(report, event_id)
        elif inject.kind in {InjectKind.CONFIRM, InjectKind.LEVEL} and incident_id is not None:
            await self._decide(inject, incident_id, event_id)
        elif inject.kind is InjectKind.SERVICE_LOSS:
            await self._lose(inject, at)
        else:
            await self._trouble(inject, at)

    async def bring_back(self, now: datetime, *, everything: bool = False) -> None:
        """Start again what was lost for long enough, or everything."""
        due = [each for each in self._returns if everything or each.at <= now]
        for each in due:
            self._returns.remove(each)
            if each.inject.service is not None:
                await self._stage.services[each.inject.service].start()
            elif self._stage.switchboard is not None and each.inject.department is not None:
                await self._stage.switchboard.line(each.inject.department).mend()
            await note_detail(self._pool, self._row.id, each.inject.id, back_at=now.isoformat())

    def resolved_after(self, department: str, task: str) -> timedelta | None:
        """Tell how long an obstacle takes to remove that an inject has put in the way of a department's task."""
        conduct = self._stage.conducts.get(department)
        return conduct.resolved_after(task) if conduct is not None else None

    def _incident_of(self, inject: InjectRule) -> UUID | None:
        if inject.kind is InjectKind.INCIDENT:
            self.incidents[inject.id] = uuid7()
            return self.incidents[inject.id]
        return self.incidents[inject.of] if inject.of is not None else None

    async def _decide(self, inject: InjectRule, incident_id: UUID, event_id: UUID) -> None:
        kind = Activate if inject.kind is InjectKind.CONFIRM else ChangeLevel
        because = inject.because.en if inject.because else inject.title.en
        await self._voice.command(kind, incident_id, because, event_id=event_id, plan=inject.plan, level=inject.level)

    async def _lose(self, inject: InjectRule, at: datetime) -> None:
        service = self._stage.services.get(inject.service) if inject.service is not None else None
        if service is None or inject.lasts is None:
            raise DrillError(f"inject {inject.id}: {inject.service} does not run as a process of this drill")
        service.kill()
        self._returns.append(_Return(at + inject.lasts, inject))

    async def _trouble(self, inject: InjectRule, at: datetime) -> None:
        """Let something befall a department; one that is not simulated after all only has it on record."""
        name = inject.department or ""
        conduct = self._stage.conducts.get(name)
        until = at + inject.lasts if inject.lasts is not None else None
        if conduct is None or self._stage.switchboard is None:
            await note_detail(self._pool, self._row.id, inject.id, effect=f"none: {name} is not simulated here")
        elif inject.kind is InjectKind.DEPARTMENT_SILENT:
            conduct.fall_silent(inject.tasks, until)
        elif inject.kind is InjectKind.DEPARTMENT_DECLINES and inject.because is not None:
            conduct.decline(inject.tasks, until, inject.because.en)
        elif inject.kind is InjectKind.OBSTACLE and inject.task and inject.says and inject.lasts is not None:
            effect = await conduct.obstruct(inject.task, inject.says.en, inject.lasts)
            await note_detail(self._pool, self._row.id, inject.id, effect=effect)
        elif inject.kind is InjectKind.CONSUMER_OUTAGE and until is not None:
            self._stage.switchboard.line(name).cut()
            self._returns.append(_Return(until, inject))
