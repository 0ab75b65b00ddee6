"""Who asks and what becomes known of it: sessions, tokens, people, lock-out and the audit behind one door."""

from datetime import datetime, timedelta
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING, Any

import asyncpg
from starlette.requests import Request

from services.platform.access.asking import SAFE, unauthorized
from services.platform.access.audit import Audit
from services.platform.access.cookies import is_secure, read_cookie, write_cookie
from services.platform.access.limits import REFUSED
from services.platform.access.lockout import Lockout
from services.platform.access.origin import check_forgery
from services.platform.access.passwords import Passwords
from services.platform.access.people import People
from services.platform.access.principal import Principal
from services.platform.access.rates import Rate
from services.platform.access.sessions import Sessions, StaleTokenError
from services.platform.access.settings import AccessSettings
from services.platform.access.standing import standing_of
from services.platform.access.tokens import Tokens
from services.platform.access.trickle import Trickle
from services.platform.clock import Clock, SystemClock
from services.platform.logs import get_logger
from services.platform.postgres import TRANSIENT, Pool
from services.platform.problem import ProblemError

if TYPE_CHECKING:
    from services.platform.access.oidc import Provider

REFUSALS = 60
REFUSALS_WITHIN = timedelta(minutes=1)
"""How many refusals of unknown callers go on the audit in how long; more of them are counted only."""
TOO_FAST = "too-fast"
"""The kind of problem that one is told of who asks more often than `AccessSettings.principal_rate`."""
_CALLER = "muster-caller"
_SUSPECT = "muster-suspect"
"""Where in a request's scope stands who asks, and who would be asking if the request isn't forged."""

_log = get_logger(__name__)


class Access:
    """Implements `services.platform.access.asking.Access`. ``pool`` connects under access's own role."""

    def __init__(
        self,
        pool: Pool,
        settings: AccessSettings | None = None,
        *,
        provider: "Provider | None" = None,
        clock: Clock | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        self.pool = pool
        self.settings = settings or AccessSettings()
        self.clock = clock or SystemClock()
        self.people = People(pool)
        self.sessions = Sessions(pool, self.settings)
        self.tokens = Tokens(pool)
        self.lockout = Lockout(pool)
        self.audit = Audit(pool)
        self.passwords = passwords or Passwords()
        self.provider = provider
        self.demo = False
        """Whether the demo's people are there, which the sign-in page then says."""
        self._rate = Rate(self.settings.principal_rate)
        self._strangers = Trickle(REFUSALS, REFUSALS_WITHIN)

    def now(self) -> datetime:
        """Tell the time."""
        return self.clock.now()

    async def close(self) -> None:
        """Give the connections back."""
        if self.provider is not None:
            await self.provider.close()
        await self.pool.close()

    async def identify(self, request: Request) -> Principal | None:
        """Say who asks; raises `ProblemError` for a bad token and for what may be a forged request."""
        if _CALLER in request.scope:
            known: Principal | None = request.scope[_CALLER]
            return known
        authorization = request.headers.get("authorization")
        caller: Principal | None
        if authorization is not None:
            caller = await self._by_token(authorization)
        else:
            caller = await self._by_cookie(request)
            if caller is not None and request.method not in SAFE:
                request.scope[_SUSPECT] = caller
                check_forgery(request, caller, self.settings.public_url)
        if caller is not None:
            self._check_rate(request, caller)
        request.scope[_CALLER] = caller
        standing = standing_of(request.scope)
        if standing is not None:
            standing.access, standing.caller = self, caller
        return caller

    async def note(
        self,
        caller: Principal | None,
        action: str,
        target: str | None = None,
        *,
        outcome: str = "done",
        request: Request | None = None,
        **detail: Any,
    ) -> None:
        """Put on the audit what somebody did; never with a secret in the detail.

        What was done stays done when the database is away just then: the log keeps the entry.
        """
        by = None if caller is None else caller.name
        standing = None if request is None else standing_of(request.scope)
        if standing is not None:
            standing.noted = True
        try:
            await self.audit.note(
                self.now(),
                action,
                by=by,
                by_id=None if caller is None else caller.id,
                target=target,
                outcome=outcome,
                address=None if request is None else address_of(request),
                detail=detail,
            )
        except (asyncpg.PostgresError, *TRANSIENT) as error:
            told = {"by": by, "action": action, "target": target, "outcome": outcome, "detail": detail}
            _log.error("not on the audit", error=repr(error), **told)

    async def refused(self, request: Request, caller: Principal | None, problem: ProblemError) -> None:
        """Put on the audit what somebody was kept from; of strangers only so many a minute, and how many more."""
        if problem.kind == TOO_FAST:
            return  # one that asks too often would fill the audit too
        caller = caller or request.scope.get(_SUSPECT)
        detail: dict[str, Any] = {"why": problem.detail}
        if caller is None:
            unsaid = self._strangers.take(self.now())
            if unsaid is None:
                return
            if unsaid:
                detail["others_before"] = unsaid
        where = f"{request.method} {request.scope.get('root_path', '')}{_path(request)}"
        await self.note(caller, "refused", where, outcome=problem.kind or "refused", request=request, **detail)

    def cookie(self, request: Request, token: str) -> str:
        """Write the Set-Cookie header of a session's token."""
        secure = is_secure(request, self.settings.public_url)
        return write_cookie(token, secure=secure, lasts=self.settings.session_lifetime)

    def _check_rate(self, request: Request, caller: Principal) -> None:
        # By world too, so that what somebody does in a drill leaves the real its share.
        wait = self._rate.take(f"{request.scope.get('root_path', '')} {caller.id}")
        if wait:
            REFUSED.labels("principal").inc()
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{caller.name} asks too often; ask again after Retry-After, and then more slowly",
                kind=TOO_FAST,
                headers={"Retry-After": str(ceil(wait))},
            )

    async def _by_token(self, authorization: str) -> Principal:
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise unauthorized("Authorization: send `Bearer` and a token", "bad-token")
        return await self.tokens.find(text.strip(), self.now())

    async def _by_cookie(self, request: Request) -> Principal | None:
        token = read_cookie(request)
        if token is None:
            return None
        standing = standing_of(request.scope)
        try:
            found = await self.sessions.find(token, self.now(), may_rotate=standing is not None)
        except StaleTokenError as error:
            await self.note(error.caller, "session.end", outcome="stale-token", request=request, why=str(error))
            return None
        if found is None:
            return None
        if found.token is not None and standing is not None:
            standing.cookies.append(self.cookie(request, found.token))
        return found.caller


def address_of(request: Request) -> str:
    """Say where a request comes from, as far as the server knows."""
    return request.client.host if request.client else "unknown"


def _path(request: Request) -> str:
    path: str = request.scope["path"]
    return path.removeprefix(request.scope.get("root_path", ""))
