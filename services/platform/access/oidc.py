"""Signing in with an identity provider: OpenID Connect's authorization code flow with PKCE.

Sources: OpenID Connect Core 1.0 (3.1), Discovery 1.0 (4), RFC 7636 (PKCE), RFC 9207 (``iss`` in the answer),
RFC 9700 (best current practice).
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import httpx
from pydantic import BaseModel, ValidationError

from services.platform.access.oidc_token import Identity, KeyUnknownError, OidcError, read_identity
from services.platform.access.settings import OidcSettings, check_transport
from services.platform.access.statements import statement
from services.platform.postgres import Pool

TIMEOUT = 10.0
"""Seconds in which the provider must answer."""
KEPT = timedelta(hours=1)
"""How long the provider's own description is believed."""
KEYS_AT_MOST_EVERY = timedelta(seconds=30)
"""How often an unknown key makes us ask for the keys again."""
RETURN_WITHIN = timedelta(minutes=10)
"""How long a person may take at the provider."""


class Discovered(BaseModel):
    """What of the provider's description is used (Discovery 1.0, 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that was sent to the provider: where to, and what must come back in the same browser."""

    url: str
    state: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What the browser brings back: the query of the callback, and ``state`` as its cookie has it."""

    query: dict[str, str]
    cookie: str | None


class Provider:
    """One identity provider. Sign-ins under way are in the database, so that any process may finish them."""

    def __init__(self, settings: OidcSettings, pool: Pool, client: httpx.AsyncClient | None = None) -> None:
        self.settings = settings
        self._pool = pool
        self._client = client or httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False)
        self._found: tuple[datetime, Discovered] | None = None
        self._keys: tuple[datetime, dict[str, Any]] | None = None
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def begin(self, redirect_uri: str, target: str, now: datetime) -> Begun:
        """Begin a sign-in that shall end at ``target``, a path of ours; raises `OidcError`."""
        found = await self._discover(now)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        await self._pool.execute(statement("begin_oidc"), _digest(state), nonce, verifier, target, now)
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in found.authorization_endpoint else "?"
        return Begun(f"{found.authorization_endpoint}{joint}{urlencode(query)}", state)

    async def finish(self, returned: Returned, redirect_uri: str, now: datetime) -> tuple[Identity, str]:
        """Finish a sign-in: who it is, and where to go on; each is finished once. Raises `OidcError`."""
        query = returned.query
        state = query.get("state", "")
        if not returned.cookie or not hmac.compare_digest(state.encode(), returned.cookie.encode()):
            raise OidcError("the sign-in was not begun in this browser, or too long ago; begin again")
        row = await self._pool.fetchrow(statement("finish_oidc"), _digest(state), now - RETURN_WITHIN)
        if row is None:
            raise OidcError("the sign-in is over or took too long; begin again")
        found = await self._discover(now)
        says_issuer = "iss" in query or found.authorization_response_iss_parameter_supported
        if says_issuer and query.get("iss") != self.settings.issuer:
            raise OidcError("the answer comes from another issuer")
        if "error" in query:
            raise OidcError(f"the identity provider refused: {query.get('error_description') or query['error']}")
        if "code" not in query:
            raise OidcError("the answer holds no code")
        token = await self._exchange(found, query["code"], redirect_uri, row["verifier"])
        return await self._identify(found, token, row["nonce"], now), row["target"]

    async def _identify(self, found: Discovered, token: str, nonce: str, now: datetime) -> Identity:
        keys = await self._signing_keys(found, now)
        try:
            return read_identity(token, keys, self.settings, nonce, now)
        except KeyUnknownError:
            fresh = await self._signing_keys(found, now, older_than=KEYS_AT_MOST_EVERY)
            return read_identity(token, fresh, self.settings, nonce, now)

    async def _discover(self, now: datetime) -> Discovered:
        async with self._lock:
            if self._found is not None and now - self._found[0] < KEPT:
                return self._found[1]
            address = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            try:
                found = Discovered.model_validate(await self._get(address))
                for endpoint in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
                    check_transport(endpoint)
            except (ValidationError, ValueError) as error:
                raise OidcError(f"{address}: can't be used: {str(error).splitlines()[0]}") from None
            if found.issuer != self.settings.issuer:
                raise OidcError(f"{address}: calls itself {found.issuer}, MUSTER_OIDC_ISSUER says otherwise")
            self._found = (now, found)
            return found

    async def _signing_keys(self, found: Discovered, now: datetime, older_than: timedelta = KEPT) -> dict[str, Any]:
        async with self._lock:
            if self._keys is None or now - self._keys[0] >= older_than:
                self._keys = (now, await self._get(found.jwks_uri))
            return self._keys[1]

    async def _exchange(self, found: Discovered, code: str, redirect_uri: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self.settings.client_id,
        }
        auth: httpx.BasicAuth | None = None
        if self.settings.client_secret is not None:
            secret = self.settings.client_secret.get_secret_value()
            if "client_secret_basic" in found.token_endpoint_auth_methods_supported:
                # RFC 6749, 2.3.1: both are form-encoded first.
                pair = (urlencode({"": text})[1:] for text in (self.settings.client_id, secret))
                auth = httpx.BasicAuth(*pair)
            else:
                form["client_secret"] = secret
        answer = await self._asked("POST", found.token_endpoint, data=form, auth=auth)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise OidcError("the identity provider gave no id token")
        return token

    async def _get(self, address: str) -> dict[str, Any]:
        return await self._asked("GET", address)

    async def _asked(self, method: str, address: str, **given: Any) -> dict[str, Any]:
        try:
            answer = await self._client.request(method, address, headers={"Accept": "application/json"}, **given)
            found = answer.json() if answer.status_code == HTTPStatus.OK else None
        except (httpx.HTTPError, ValueError) as error:
            raise OidcError(f"{address}: can't be read: {error or type(error).__name__}") from None
        if not isinstance(found, dict):
            # The body is not repeated: it may hold what nobody else should see.
            raise OidcError(f"{address}: answered {answer.status_code}")
        return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
