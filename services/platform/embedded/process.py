"""Child processes that never outlive Muster: started with a log file, stopped politely, killed when asked."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from services.platform.embedded.errors import EmbeddedError

STOP_SECONDS = 10.0
POLL_SECONDS = 0.02
MAX_LOG_BYTES = 16 * 1024 * 1024
TAIL_BYTES = 8192
TAIL_LINES = 3

_LAUNCHER = Path(__file__).with_name("_launch.py")


class Account(NamedTuple):
    """The operating-system user a server runs as."""

    uid: int
    gid: int


def launch_argv(
    argv: Sequence[str | Path],
    *,
    account: Account | None = None,
    orphan_signal: signal.Signals = signal.SIGKILL,
) -> list[str]:
    """Return the command line that runs `argv` as `account` and ends it with this process (see `_launch.py`)."""
    uid, gid = account or (-1, -1)
    launcher = [sys.executable, "-I", "-S", str(_LAUNCHER)]
    numbers = [os.getpid(), int(orphan_signal), uid, gid]
    return [*launcher, *map(str, numbers), *map(str, argv)]


async def run_to_end(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    stdin: bytes = b"",
) -> tuple[int, str]:
    """Run a short program to its end and return its exit code and what it printed, errors included."""
    process = await asyncio.create_subprocess_exec(
        *launch_argv(argv, account=account),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )
    try:
        printed, _ = await process.communicate(stdin)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return process.returncode or 0, printed.decode(errors="replace")


def last_words(text: str, lines: int = TAIL_LINES) -> str:
    """Return the last non-empty lines of `text` on one line, for an error message."""
    return " | ".join([line.strip() for line in text.splitlines() if line.strip()][-lines:]) or "(no output)"


def log_tail(path: Path, lines: int = TAIL_LINES) -> str:
    """Return the last non-empty lines of a log file on one line, for an error message."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return last_words(text, lines)


class ChildProcess:
    """One server process that belongs to this one.

    It has its own session, so that Ctrl-C on the terminal reaches only Muster, and gets `orphan_signal` from the
    kernel (Linux) when the thread that started it ends, even by `kill -9`: start it from a thread that lives on.
    Standard output and error go to `log_file`, opened before privileges are dropped. `account` is who it runs as.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        log_file: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        account: Account | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphan_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.log_file = log_file
        self._argv = [str(each) for each in argv]
        self._cwd = cwd
        self._env = env
        self._account = account
        self._stop_signal = stop_signal
        self._orphan_signal = orphan_signal
        self._process: asyncio.subprocess.Process | None = None
        self._killed = False
        self._is_asked = False

    @property
    def pid(self) -> int | None:
        """The process id, or None before `start`."""
        return None if self._process is None else self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process was started, has not ended, and was not killed by us."""
        return self._process is not None and self._process.returncode is None and not self._killed

    @property
    def exit_code(self) -> int | None:
        """How the process ended (negative: the signal), or None before that."""
        return None if self._process is None else self._process.returncode

    @property
    def is_lost(self) -> bool:
        """Whether the process was started and has ended without having been asked to by us."""
        return self._process is not None and self._process.returncode is not None and not self._is_asked

    async def start(self) -> None:
        """Start the process; returns at once. A log above 16 MiB is first moved aside to `.1`."""
        if self._process is not None and self._process.returncode is None:
            if not self._killed:
                raise EmbeddedError(f"{self.name} (process {self.pid}) already runs: stop it first")
            await self.wait()
        if self.log_file.exists() and self.log_file.stat().st_size > MAX_LOG_BYTES:
            self.log_file.replace(self.log_file.with_name(self.log_file.name + ".1"))
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *launch_argv(self._argv, account=self._account, orphan_signal=self._orphan_signal),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._cwd,
                env=self._env,
                start_new_session=True,
            )
        finally:
            os.close(log)
        self._killed = self._is_asked = False

    async def wait(self) -> int:
        """Wait for the end and return the exit code (negative: the signal), 0 when it was never started."""
        return 0 if self._process is None else await self._process.wait()

    async def stop(self, timeout: float = STOP_SECONDS) -> None:  # noqa: ASYNC109 (seconds of grace before KILL)
        """Ask the process to end, kill it after `timeout` seconds, and wait until it is gone."""
        if self._process is None:
            return
        if self.alive:
            self._is_asked = True
            self._signal(self._stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), timeout)
        if self._process.returncode is None:
            self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """Send `kill -9` and return at once; `stop` or `wait` afterwards collects what is left."""
        self._is_asked = True
        self._signal(signal.SIGKILL)
        self._killed = self._process is not None

    async def wait_for_port(self, port: int, seconds: float) -> None:
        """Return once 127.0.0.1:`port` accepts connections.

        Raises `EmbeddedError` with the last lines of the log when the process ends first or `seconds` have passed.
        """
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            self.check(deadline, f"open port {port}")
            await asyncio.sleep(POLL_SECONDS)

    def check(self, deadline: float, goal: str) -> None:
        """Raise `EmbeddedError` when the process has ended, or `deadline` (monotonic seconds) has passed."""
        code = None if self._process is None else self._process.returncode
        if code is not None:
            raise EmbeddedError(f"{self.name} ended with {code} before it could {goal}: {self._log_hint()}")
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{self.name} did not {goal} in time: {self._log_hint()}")

    def _log_hint(self) -> str:
        return f"{log_tail(self.log_file)} (full log: {self.log_file})"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
