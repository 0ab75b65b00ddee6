"""What one request may take: how often one address asks, how much is held at once, how long anything lasts.

Stands inside `services.platform.access.headers.Headers` and before the application, so that what is refused here
costs nothing. Health and metrics are always answered: whoever supervises a process must see that it is busy.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from math import ceil

from prometheus_client import Counter
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.vocabulary import Namespace
from services.platform.access.rates import Rate, network_of

LARGEST = 4 * 1024 * 1024
"""Bytes of a body that are read of any request; a route may take fewer."""
HELD = 32 * 1024 * 1024
"""Bytes of bodies that one process holds at a time; whoever brings more is asked to come again."""
BODY_WITHIN = 30.0
"""Seconds in which a body must have come."""
ANSWER_WITHIN = 60.0
"""Seconds in which an answer must begin; how long a stream then goes on is its own matter."""
SENT_WITHIN = 60.0
"""Seconds in which a reader must take one part of an answer."""
AGAIN_AFTER = 1
"""Seconds after which a request may come again that met a full house."""
_ALWAYS = frozenset({"/health/live", "/health/ready", "/metrics"})
_EXERCISE = f"/{Namespace.EXERCISE}"
"""Where the exercise's site is, beside the real one."""

REFUSED = Counter("muster_http_refused_total", "Requests that were refused for their rate, size or time.", ["why"])

Refuse = Callable[[HTTPStatus, str, dict[str, str], Send], Awaitable[None]]
"""Answers with a problem document."""


class Limits:
    """``rate`` counts by address, and by world, so that a drill's flood leaves the real its share."""

    def __init__(self, app: ASGIApp, rate: Rate, refuse: Callable[[Scope], Refuse]) -> None:
        self._app = app
        self._rate = rate
        self._refuse = refuse
        self.held = 0
        """Bytes of bodies that are held now."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        refuse = self._refuse(scope)
        world, path = ("exercise", path.removeprefix(_EXERCISE)) if path.startswith(f"{_EXERCISE}/") else ("", path)
        if path not in _ALWAYS:
            address = str((scope.get("client") or ("unknown",))[0])
            wait = self._rate.take(f"{world} {network_of(address)}")
            if wait:
                REFUSED.labels("address").inc()
                detail = "this address asks too often; ask again after Retry-After, and then more slowly"
                await refuse(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": str(ceil(wait))}, send)
                return
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if lengths and (not lengths[0].isdigit() or int(lengths[0][:20]) > LARGEST):
            REFUSED.labels("size").inc()
            detail = f"the body has more than {LARGEST} bytes"
            await refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, {}, send)
            return
        await self._answer(scope, receive, send, refuse)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, refuse: Refuse) -> None:
        body = _Body(self, receive)
        begun = False
        try:
            async with asyncio.timeout(ANSWER_WITHIN) as limit:

                async def send_in_time(message: Message) -> None:
                    nonlocal begun
                    if not begun and not limit.expired():
                        limit.reschedule(None)
                    begun = True
                    async with asyncio.timeout(SENT_WITHIN):
                        await send(message)

                await self._app(scope, body.receive, send_in_time)
        except TimeoutError:
            if begun or not limit.expired():
                raise
            REFUSED.labels("time").inc()
            detail = f"no answer was ready within {ANSWER_WITHIN:.0f} s; ask again, and for less"
            await refuse(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": str(AGAIN_AFTER)}, send)
        finally:
            self.held -= body.read


class _Body:
    """One request's body, read within bounds; what is wrong with it is raised to whoever reads."""

    def __init__(self, limits: Limits, receive: Receive) -> None:
        self._limits = limits
        self._receive = receive
        self._more = True
        self._until = asyncio.get_running_loop().time() + BODY_WITHIN
        self.read = 0

    async def receive(self) -> Message:
        """Receive the next part; once the body is whole, wait as long as the client stays."""
        if not self._more:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            REFUSED.labels("time").inc()
            detail = f"the body did not come within {BODY_WITHIN:.0f} s; send it again"
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, {"Connection": "close"}) from None
        self._more = message.get("more_body", False)
        size = len(message.get("body", b""))
        self.read += size
        self._limits.held += size
        if self.read > LARGEST:
            REFUSED.labels("size").inc()
            detail = f"the body has more than {LARGEST} bytes"
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, {"Connection": "close"})
        if self._limits.held > HELD:
            REFUSED.labels("held").inc()
            detail = "too much is being sent at once; send it again after Retry-After"
            headers = {"Connection": "close", "Retry-After": str(AGAIN_AFTER)}
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, detail, headers)
        return message
