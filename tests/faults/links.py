"""The network between two places, as TCP proxies on loopback that can be slow, silent or torn."""

import asyncio
from contextlib import suppress
from time import monotonic

CHUNK = 64 * 1024
_PIECES = 64


class Link:
    """One way to one server. It listens from `open` on; `port` may be known, and given to clients, before.

    ``delay`` is how many seconds each byte takes, in both directions. While `cut`, nothing passes and nothing is
    answered, as when packets are dropped: neither side is told, connections hang, and what was sent passes after
    `mend`, as TCP would send it again. `abandon` leaves the servers' ends of the connections open for good, as when the
    host at the other end has gone.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.delay = 0.0
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._abandoned: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def close(self) -> None:
        """End all connections and stop listening."""
        if self._server is not None:
            self._server.close()
        for end in (*self._ends, *self._abandoned):
            end.transport.abort()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        """Let nothing pass from now on."""
        self._open.clear()

    def mend(self) -> None:
        """Let everything pass again, at once."""
        self._open.set()
        self.delay = 0.0

    def abandon(self) -> None:
        """Give up the connections there are without telling the servers."""
        self._abandoned |= self._ends
        for task in list(self._tasks):
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._target)
            self._ends.add(upstream)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, upstream))
                group.create_task(self._pass_on(answers, writer))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # whatever ended it, both ends are closed below
        finally:
            self._tasks.discard(task)
            writer.transport.abort()
            if upstream is not None:
                self._ends.discard(upstream)
                if upstream not in self._abandoned:
                    upstream.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on until the end, then end the connection: neither Kafka's nor Postgres' clients half close."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_PIECES)
        reading = asyncio.create_task(self._read(reader, pieces))
        try:
            while True:
                due, piece = await pieces.get()
                if (early := due - monotonic()) > 0:
                    await asyncio.sleep(early)
                await self._open.wait()
                if not piece:
                    raise ConnectionResetError("the other end closed")
                writer.write(piece)
                await writer.drain()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, reader: asyncio.StreamReader, pieces: "asyncio.Queue[tuple[float, bytes]]") -> None:
        piece = b"-"
        while piece:
            piece = b""
            with suppress(OSError):
                piece = await reader.read(CHUNK)
            await pieces.put((monotonic() + self.delay, piece))
