"""Apache Kafka without Docker: N KRaft brokers on loopback, which can be killed, restarted and wiped one by one.

`python -m services.platform.embedded.apache --brokers 3` runs a cluster in the foreground.
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import signal
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from services.platform.embedded.errors import EmbeddedError
from services.platform.embedded.folder import FolderLock, released_on_error
from services.platform.embedded.kafka_config import Ports, log4j_configuration, server_properties
from services.platform.embedded.kafka_jars import CACHE, fetch_jars, java
from services.platform.embedded.kafka_secured import ADMINISTRATOR, Secured, private, read_users
from services.platform.embedded.ports import free_ports, require_free
from services.platform.embedded.process import ChildProcess, last_words, run_to_end
from services.platform.kafka_security import Brokers

START_SECONDS = 90.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.1
HEAP = "384m"
"""Enough for some hundred topics; ten thousand need about 300 MB more (`heap`)."""


class ApacheKafka:
    """A cluster of `brokers` Apache Kafka nodes on 127.0.0.1, each broker and controller; nodes count from 1.

    Node data is in `data_dir`/node-N and outlives the object. With `base_port`, brokers listen on `base_port` and
    the ports after it and controllers on the `brokers` ports after those; otherwise on free ones. The archives are
    fetched once into `cache`. A topic has min(3, brokers) copies; with 3 brokers `acks=all` waits for two.

    With `users` (passwords by name) only they get in, over TLS, and may do what the cluster's access control lists
    allow: see `user`. They are made with a node's data; another user needs new data.

    `more` gives further properties of a node, by its number and its ports, such as listeners of their own.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        brokers: int = 1,
        base_port: int | None = None,
        cache: Path = CACHE,
        heap: str = HEAP,
        users: Mapping[str, SecretStr] | None = None,
        more: Callable[[int, Ports], Mapping[str, object]] | None = None,
    ) -> None:
        if brokers < 1:
            raise EmbeddedError(f"{brokers} brokers make no cluster: ask for 1 or more")
        self.data_dir = data_dir.absolute()
        self.brokers = brokers
        self._base_port = base_port
        self._cache = cache
        self._heap = heap
        self._more = more
        self._lock = FolderLock(self.data_dir)
        self._ports: list[Ports] = []
        self._nodes: dict[int, ChildProcess] = {}
        self._java: list[str] = []
        self.secured = None if users is None else Secured(self.data_dir / "secured", users)

    @property
    def bootstrap(self) -> str:
        """The bootstrap list, `127.0.0.1:PORT,...`; empty before the first start."""
        return ",".join(f"127.0.0.1:{each.broker}" for each in self._ports)

    def user(self, name: str = ADMINISTRATOR) -> Brokers:
        """Give the way in of a user, by default of the one who may do everything; an open cluster asks for none."""
        return Brokers(self.bootstrap) if self.secured is None else self.secured.user(name, self.bootstrap)

    def alive(self, node: int) -> bool:
        """Whether `node` runs."""
        return node in self._nodes and self._nodes[node].alive

    def pid(self, node: int) -> int | None:
        """Return the process id of `node`, or None before its first start."""
        return self._nodes[node].pid if node in self._nodes else None

    @property
    def processes(self) -> list[ChildProcess]:
        """What runs, for whoever has to notice its end; empty before the first start."""
        return [*self._nodes.values()]

    def node_at(self, port: int) -> int:
        """Return the node that listens on broker port `port`: its number is also its Kafka node id."""
        return [each.broker for each in self._ports].index(port) + 1

    async def start(self) -> str:
        """Start every node that doesn't run, wait until all have joined, and return the bootstrap list.

        Raises `EmbeddedError`, also when Java or Maven is missing or an archive isn't the listed one.
        """
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with released_on_error(self._lock):
            self._java = [await java(), "-cp", f"{await fetch_jars(cache=self._cache)}/*"]
            self._check_size()
            self._ports = self._ports or self._choose_ports()
            if self.secured is not None and not any(map(self.alive, self._numbers())):
                self.secured.prepare()
            starting = [asyncio.create_task(self._start(node)) for node in self._numbers()]
            try:
                await asyncio.gather(*starting)
                await self._until_joined(time.monotonic() + START_SECONDS)
            except BaseException:
                for task in starting:
                    task.cancel()  # or a slower node would still be started after the others were stopped
                await asyncio.gather(*starting, return_exceptions=True)
                await self._stop_nodes()
                raise
        return self.bootstrap

    async def stop(self) -> None:
        """Stop all nodes, keeping their data; safe to call twice."""
        await self._stop_nodes()
        self._lock.release()

    def kill(self, node: int) -> None:
        """`kill -9` one node, as a crash would."""
        self._node(node).kill()

    async def restart(self, node: int) -> None:
        """Start a killed or wiped node again (a running one is stopped first) and wait until all nodes have joined."""
        await self._node(node).stop(STOP_SECONDS)
        await self._start(node)
        await self._until_joined(time.monotonic() + START_SECONDS)

    def wipe(self, node: int | None = None) -> None:
        """Delete the data of one stopped node, or of all: then the next start makes a new, empty cluster."""
        for each in self._numbers() if node is None else [node]:
            if self.alive(each):
                raise EmbeddedError(f"Kafka node {each} runs: kill or stop it before its data is wiped")
            shutil.rmtree(self._folder(each) / "data", ignore_errors=True)
        if node is None:
            (self.data_dir / "cluster.id").unlink(missing_ok=True)

    def _numbers(self) -> range:
        return range(1, self.brokers + 1)

    def _folder(self, node: int) -> Path:
        return self.data_dir / f"node-{node}"

    def _node(self, node: int) -> ChildProcess:
        if node not in self._nodes:
            raise EmbeddedError(f"there is no Kafka node {node} in {self.data_dir}: start the cluster first")
        return self._nodes[node]

    def _check_size(self) -> None:
        if any(self.data_dir.glob("node-*/data")):
            found = len([*self.data_dir.glob("node-*")])
            if found != self.brokers:
                raise EmbeddedError(
                    f"{self.data_dir} holds a cluster of {found} nodes, not {self.brokers}: "
                    f"ask for {found}, or remove the folder"
                )

    def _choose_ports(self) -> list[Ports]:
        count = self.brokers
        base = self._base_port
        ports = free_ports(2 * count) if base is None else [*range(base, base + 2 * count)]
        return [Ports(*pair) for pair in zip(ports[:count], ports[count:], strict=True)]

    async def _start(self, node: int) -> None:
        if self.alive(node):
            return
        if node in self._nodes:
            await self._nodes[node].wait()
        require_free(*self._ports[node - 1])
        folder = self._folder(node)
        folder.mkdir(exist_ok=True)
        properties = folder / "server.properties"
        ports = self._ports[node - 1]
        more = {} if self.secured is None else dict(self.secured.properties(ports))
        more |= {} if self._more is None else self._more(node, ports)
        private(properties, server_properties(node, self._ports, folder / "data", more))
        log4j = folder / "log4j2.xml"
        log4j.write_text(log4j_configuration(folder))
        options = [*self._java, f"-Dlog4j2.configurationFile={log4j}", "-Djava.awt.headless=true"]
        if not (folder / "data" / "meta.properties").exists():
            await self._format(node, [*options, "-Xmx128m"], properties)
        self._nodes[node] = ChildProcess(
            f"Kafka node {node}",
            [
                *options,
                f"-Xmx{self._heap}",
                "-XX:+UseSerialGC",
                "-XX:+ExitOnOutOfMemoryError",
                "kafka.Kafka",
                properties,
            ],
            log_file=folder / "console.log",
            cwd=folder,
        )
        await self._nodes[node].start()
        await self._nodes[node].wait_for_port(self._ports[node - 1].broker, START_SECONDS)

    async def _format(self, node: int, options: list[str], properties: Path) -> None:
        tool = ["kafka.tools.StorageTool", "format", "-t", self._cluster_id(), "-c", str(properties)]
        tool += [] if self.secured is None else self.secured.format_options()
        code, printed = await run_to_end([*options, *tool])
        if code != 0:
            raise EmbeddedError(f"Kafka node {node} could not format {properties.parent}: {last_words(printed)}")

    def _cluster_id(self) -> str:
        path = self.data_dir / "cluster.id"
        if not path.exists():
            new = "-"
            while new.startswith("-"):  # the tool would take it for an option
                new = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            path.write_text(new)
        return path.read_text()

    async def _until_joined(self, deadline: float) -> None:
        while (joined := await self._joined()) < self.brokers:
            for process in self._nodes.values():
                process.check(deadline, f"join the cluster ({joined} of {self.brokers} have)")
            await asyncio.sleep(POLL_SECONDS)

    async def _joined(self) -> int:
        admin = AIOKafkaAdminClient(**self.user().options(), request_timeout_ms=5000)
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
        except (KafkaError, OSError):
            return 0
        finally:
            await admin.close()
        return len(cluster["brokers"])

    async def _stop_nodes(self) -> None:
        await asyncio.gather(*(each.stop(STOP_SECONDS) for each in self._nodes.values()))


async def serve(cluster: ApacheKafka, *, as_json: bool) -> None:
    """Run `cluster` until INT or TERM, printing the bootstrap list on standard output once it is ready."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    started = asyncio.create_task(cluster.start())
    asked = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({started, asked}, return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            bootstrap = started.result()
            told = {"kafka": bootstrap} | ({"ca": str(cluster.secured.ca)} if cluster.secured else {})
            sys.stdout.write((json.dumps(told) if as_json else bootstrap) + "\n")
            sys.stdout.flush()
            await ended.wait()
    finally:
        for task in (started, asked):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, EmbeddedError):
                await task
        await cluster.stop()


def main() -> int:
    """Run the module's command line; returns 0, or 1 after one line on standard error."""
    parser = argparse.ArgumentParser(prog="apache", description="Apache Kafka brokers on loopback, until Ctrl-C.")
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--base-port", type=int, default=19092)
    parser.add_argument("--data-dir", type=Path, default=CACHE / "kafka")
    parser.add_argument("--users", type=Path, help="a file of name=password lines: only they get in, over TLS")
    parser.add_argument("--json", action="store_true", help='print {"kafka": BOOTSTRAP} when ready')
    options = parser.parse_args()
    try:
        users = None if options.users is None else read_users(options.users)
        cluster = ApacheKafka(options.data_dir, brokers=options.brokers, base_port=options.base_port, users=users)
        asyncio.run(serve(cluster, as_json=options.json))
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
