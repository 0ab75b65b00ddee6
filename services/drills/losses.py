"""Services that a drill kills on purpose: processes of their own, ended by ``kill -9`` and started again."""

import asyncio
from contextlib import suppress

from services.platform.embedded.process import ChildProcess

READY_WITHIN = 60.0
"""Wall seconds that a service's process gets to begin its work."""
LOOK_EVERY = 0.1
"""Wall seconds between looks at whether it is ready."""


class ServiceProcess:
    """One service as a process of its own, with a health page at a port on loopback."""

    def __init__(self, process: ChildProcess, port: int) -> None:
        self._process = process
        self._port = port

    async def start(self) -> None:
        """Start it; returns at once."""
        await self._process.start()

    async def ready(self) -> None:
        """Return once it says that it is ready; raises `EmbeddedError` when it ends before, or takes too long."""
        # The process's own clock, by which its deadline is looked at, is the monotonic one of the machine.
        deadline = asyncio.get_running_loop().time() + READY_WITHIN
        while not await _is_ready(self._port):
            self._process.check(deadline, "say that it is ready")
            await asyncio.sleep(LOOK_EVERY)

    def kill(self) -> None:
        """End it by ``kill -9``: it finishes nothing and gives nothing back."""
        self._process.kill()

    async def stop(self) -> None:
        """End it politely."""
        await self._process.stop()


async def _is_ready(port: int) -> bool:
    with suppress(OSError, IndexError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
        finally:
            writer.close()
        return answer.split(b" ", 2)[1] == b"200"
    return False
