"""Reports incidents at a rate, whatever is answered: a flood, from a process of its own, which keeps its own books.

``python -m tests.integration.load URL TOKEN PER_SECOND SECONDS PATIENCE`` prints one JSON document: `Books`.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import urlsplit

from uuid_utils.compat import uuid7

CONNECTIONS = 64
URGENT_SHARE = 0.05
"""Of the reports, those that are Extreme; the others are Minor."""
EVENT = "Fault trial"
"""What the fault suite's plan answers."""


@dataclass
class Books:
    """What was sent and what came of it: ``taken`` maps an event's id to its severity.

    ``answers`` counts by severity, status and kind of problem, as in ``"Minor 429 urn:muster:problem:too-much"``.
    ``latencies`` are seconds by status; ``retry_after`` has that header's seconds of every 429 that carries it.
    """

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    taken: dict[str, str] = field(default_factory=dict)
    retry_after: list[int] = field(default_factory=list)
    latencies: dict[int, list[float]] = field(default_factory=dict)
    broken: int = 0
    seconds: float = 0


async def flood(url: str, token: str, per_second: float, seconds: float, patience: float) -> Books:
    """Send so many a second for so long, waiting for nothing but a free connection; then what is left of them.

    With ``patience`` whoever is refused waits for so many seconds, and what found no connection meanwhile is not sent.
    """
    books = Books()
    arrivals: asyncio.Queue[str | None] = asyncio.Queue()
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    senders = [asyncio.create_task(_send(host, port, token, arrivals, books, patience)) for _ in range(CONNECTIONS)]
    chance = random.Random(1)
    begun, made = monotonic(), 0
    while (now := monotonic()) - begun < seconds:
        due = int((now - begun) * per_second)
        for _ in range(min(due - made, CONNECTIONS - arrivals.qsize()) if patience else due - made):
            arrivals.put_nowait("Extreme" if chance.random() < URGENT_SHARE else "Minor")
        made = due
        await asyncio.sleep(0.005)
    for _ in senders:
        arrivals.put_nowait(None)
    await asyncio.gather(*senders)
    books.seconds = monotonic() - begun
    return books


async def _send(
    host: str, port: int, token: str, arrivals: "asyncio.Queue[str | None]", books: Books, patience: float
) -> None:
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while (severity := await arrivals.get()) is not None:
        books.sent += 1
        begun = monotonic()
        try:
            streams = streams or await asyncio.open_connection(host, port)
            reader, writer = streams
            writer.write(_request(token, severity))
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            body = json.loads(await reader.readexactly(length))
        except (OSError, asyncio.IncompleteReadError):
            books.broken += 1
            streams = None
            continue
        code = int(head.split(" ")[1])
        books.answers[f"{severity} {code} {body.get('type', '')}".rstrip()] += 1
        books.latencies.setdefault(code, []).append(monotonic() - begun)
        if code == 202:
            books.taken[body["event_id"]] = severity
        if code == 429 and "retry-after: " in head:
            books.retry_after.append(int(head.split("retry-after: ")[1].split("\r\n")[0]))
        if "connection: close" in head:
            writer.close()
            streams = None
        if code == 429 and patience:
            await asyncio.sleep(patience)
    if streams is not None:
        streams[1].close()


def body_of(severity: str) -> dict[str, object]:
    """Make a report of an incident of its own."""
    return {
        "status": "Actual",
        "message_type": "Alert",
        "categories": ["Other"],
        "event": EVENT,
        "urgency": "Immediate",
        "severity": severity,
        "certainty": "Observed",
        "areas": [{"description": f"District {uuid7()}"}],
        "reported_by": "flood",
    }


def _request(token: str, severity: str) -> bytes:
    body = json.dumps(body_of(severity)).encode()
    head = f"POST /v1/incidents HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def main() -> None:
    """Flood as the arguments say."""
    url, token, *numbers = sys.argv[1:6]
    per_second, seconds, patience = map(float, numbers)
    json.dump(vars(asyncio.run(flood(url, token, per_second, seconds, patience))), sys.stdout)


if __name__ == "__main__":
    main()
