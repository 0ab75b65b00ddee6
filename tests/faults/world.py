"""The world that faults happen in: three brokers, a database, two hosts with a copy of each service, and the links.

A host is a name for everything that fails together: its services reach each broker and the database over links of
their own (`tests.faults.links`), so that one host can be cut off while the other works on. Departments come in over a
third set of links. The harness itself looks at the servers directly.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import SecretStr

from services.platform.embedded.apache import ApacheKafka
from services.platform.embedded.kafka_config import Ports
from services.platform.embedded.ports import free_ports
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.embedded.process import ChildProcess, last_words, run_to_end
from services.platform.migrations import migrate
from services.platform.postgres import connect
from services.platform.published import publish
from services.playbooks.stored import read_wordings
from tests.faults.disk import Disk
from tests.faults.links import Link
from tests.faults.service import CLOCK, WITHOUT
from tests.integration.fleet import reporting_token

REPO = Path(__file__).parents[2]
PLAYBOOKS = Path(__file__).parent / "playbooks"
BROKERS = 3
SMALL_DISK = 3
"""The node whose data is on a small disk."""
SMALL_DISK_MB = 256
HOSTS = ("east", "west")
FIELD = "field"
"""Where departments are."""
CORE = ("intake", "dispatch", "tracking", "escalation")
"""Services that an incident passes through."""
SERVICES = (*CORE, "outbound", "console")
READY_WITHIN = 120.0
STOP_WITHIN = 20.0

Member = tuple[str, str]
"""A copy of a service: its name and its host."""


class World:
    """All servers and processes. `start` it, then `serve` a database; `stop` ends everything that it started."""

    def __init__(self, folder: Path, services: Sequence[str] = SERVICES) -> None:
        self.folder = folder
        places = (*HOSTS, FIELD)
        ports = iter(free_ports(2 * len(places) * BROKERS + len(HOSTS) + len(HOSTS) * len(services)))
        self._real = {(place, node): next(ports) for place in places for node in range(1, BROKERS + 1)}
        self.to_brokers = {
            place: [Link(next(ports), self._real[place, node]) for node in range(1, BROKERS + 1)] for place in places
        }
        self._database_ports = {host: next(ports) for host in HOSTS}
        self.members: list[Member] = [(service, host) for service in services for host in HOSTS]
        self.ports = {member: next(ports) for member in self.members}
        self.kafka = ApacheKafka(folder / "kafka", brokers=BROKERS, more=self._listeners)
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.to_database: dict[str, Link] = {}
        self.disk = Disk(folder / "kafka" / f"node-{SMALL_DISK}" / "data")
        self.no_disk: str | None = None
        self.dsn = ""
        self.database = ""
        self.token = SecretStr("")
        self.gone: list[asyncpg.Record] = []
        self.gone_at = 0.0
        self._processes: dict[Member, ChildProcess] = {}
        self._environment: dict[str, str] = {}

    def _listeners(self, node: int, ports: Ports) -> Mapping[str, object]:
        extra = [place.upper() for place in self.to_brokers]
        real = [f"{place.upper()}://127.0.0.1:{self._real[place, node]}" for place in self.to_brokers]
        told = [f"{place.upper()}://127.0.0.1:{links[node - 1].port}" for place, links in self.to_brokers.items()]
        plain = f"PLAINTEXT://127.0.0.1:{ports.broker}"
        return {
            "listeners": ",".join([plain, f"CONTROLLER://127.0.0.1:{ports.controller}", *real]),
            "advertised.listeners": ",".join([plain, *told]),
            "listener.security.protocol.map": ",".join(
                f"{each}:PLAINTEXT" for each in ("PLAINTEXT", "CONTROLLER", *extra)
            ),
        }

    def bootstrap(self, place: str) -> str:
        """Give the brokers' addresses as a place knows them."""
        return ",".join(f"127.0.0.1:{link.port}" for link in self.to_brokers[place])

    async def start(self) -> None:
        """Start brokers, database and links."""
        for node in range(1, BROKERS + 1):
            (self.kafka.data_dir / f"node-{node}").mkdir(parents=True, exist_ok=True)
        self.no_disk = self.disk.mount(SMALL_DISK_MB)
        self.dsn, _ = await asyncio.gather(self.postgres.start(), self.kafka.start())
        assert self.postgres.port is not None
        self.to_database = {host: Link(port, self.postgres.port) for host, port in self._database_ports.items()}
        await asyncio.gather(*(link.open() for link in self.links()))

    def links(self, *places: str) -> list[Link]:
        """List the links of some places, or all there are."""
        brokers = [
            link for place, links in self.to_brokers.items() if place in (places or self.to_brokers) for link in links
        ]
        return brokers + [link for host, link in self.to_database.items() if host in (places or self.to_database)]

    async def serve(self, name: str, *, without: str | None = None) -> None:
        """Make a database of this name with the trial plan in force, and start every service on it."""
        self.database = f"{self.dsn.rsplit('/', 1)[0]}/{name}"
        connection = await asyncpg.connect(self.dsn)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        pool = await connect(self.database, size=2)
        await migrate(pool)
        wordings = read_wordings(PLAYBOOKS)
        await publish(pool, wordings.plans, wordings.directory)
        await pool.close()
        self.token = SecretStr(await reporting_token(self.database))
        self._environment = {} if without is None else {WITHOUT: without}
        await asyncio.gather(*(self.spawn(member) for member in self.members))
        await self.until_ready()

    async def spawn(self, member: Member, **environment: str) -> None:
        """Start one copy, unless it runs."""
        service, host = member
        if self.runs(member):
            return
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
        parts = urlsplit(self.database)
        there = f"{parts.netloc.rsplit(':', 1)[0]}:{self.to_database[host].port}"
        told = {
            "MUSTER_KAFKA": self.bootstrap(host),
            "MUSTER_DATABASE": urlunsplit(parts._replace(netloc=there)),
            "MUSTER_REPLICATION": str(BROKERS),
            "MUSTER_LOG_LEVEL": "warning",
            "PYTHONUNBUFFERED": "1",
            CLOCK: str(self._clock(member)),
        }
        command = [sys.executable, "-m", "tests.faults.service", service, "--namespace", "actual"]
        self._processes[member] = ChildProcess(
            f"{service} on {host}",
            [*command, "--port", str(self.ports[member])],
            log_file=self.folder / f"{service}-{host}.log",
            cwd=REPO,
            env={**kept, **told, **self._environment, **environment},
        )
        await self._processes[member].start()

    def runs(self, member: Member) -> bool:
        """Whether a copy runs."""
        return member in self._processes and self._processes[member].alive

    async def kill(self, *members: Member) -> None:
        """Kill copies with -9, all at once."""
        for member in members:
            self._processes[member].kill()
        for member in members:
            await self._processes[member].wait()

    async def terminate(self, member: Member) -> None:
        """Ask one copy to stop, as a deployment does."""
        await self._processes[member].stop(STOP_WITHIN)

    def signal(self, member: Member, number: signal.Signals) -> None:
        """Send a signal to a copy that runs."""
        pid = self._processes[member].pid
        assert pid is not None
        os.kill(pid, number)

    def _clock(self, member: Member) -> Path:
        return self.folder / f"{member[0]}-{member[1]}.clock"

    def step_clock(self, member: Member, seconds: float) -> None:
        """Set a copy's wall clock wrong by so many seconds; 0 sets it right."""
        self._clock(member).write_text(str(seconds))
        self.signal(member, signal.SIGUSR1)

    async def until_ready(self, members: Iterable[Member] | None = None) -> None:
        """Wait until copies say that they are ready."""
        end = asyncio.get_running_loop().time() + READY_WITHIN
        async with httpx.AsyncClient(timeout=5) as client:
            for member in self.members if members is None else members:
                while True:
                    with suppress(httpx.HTTPError):
                        answer = await client.get(f"http://127.0.0.1:{self.ports[member]}/health/ready")
                        if answer.is_success:
                            break
                    if not self.runs(member) or asyncio.get_running_loop().time() > end:
                        raise RuntimeError(f"{member} is not ready: {self.log(member)}")
                    await asyncio.sleep(0.2)

    def log(self, member: Member) -> str:
        """Read the end of a copy's log."""
        return (self.folder / f"{member[0]}-{member[1]}.log").read_text(errors="replace")[-2_000:]

    async def muster(self, *arguments: str) -> None:
        """Run an operator's command; raises RuntimeError with its last words when it fails."""
        told = {"MUSTER_KAFKA": self.kafka.bootstrap, "MUSTER_DATABASE": self.database}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
        command = [sys.executable, "-m", "services.cli", *arguments]
        code, said = await run_to_end(command, cwd=REPO, env={**kept, **told})
        if code:
            raise RuntimeError(f"muster {arguments[0]}: {last_words(said)}")

    async def busiest_node(self) -> int:
        """Find the broker that leads the most partitions."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.bootstrap.split(","))
        await admin.start()
        try:
            topics = await admin.describe_topics()
        finally:
            await admin.close()
        leads = [partition["leader"] for topic in topics for partition in topic["partitions"]]
        return int(max(sorted(set(leads)), key=leads.count))

    async def note_gone(self) -> None:
        """Keep which entries the brokers had confirmed that have lost everything: their reader turns to the record."""
        connection = await asyncpg.connect(self.database)
        try:
            self.gone = await connection.fetch(
                "SELECT * FROM timeline WHERE NOT EXISTS (SELECT FROM outbox WHERE event_id = entry_id) ORDER BY seq"
            )
        finally:
            await connection.close()
        self.gone_at = monotonic()

    async def stop_services(self) -> None:
        """End every service."""
        await asyncio.gather(*(process.stop(STOP_WITHIN) for process in self._processes.values()))

    async def stop(self) -> None:
        """End everything."""
        for link in self.links():
            link.mend()
        await self.stop_services()
        await asyncio.gather(*(link.close() for link in self.links()))
        await asyncio.gather(self.kafka.stop(), self.postgres.stop())
        if self.no_disk is None:
            self.disk.unmount()
