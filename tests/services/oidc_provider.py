"""A small identity provider on loopback: it signs whoever it is told to, and can be told to lie."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from joserfc import jwt
from joserfc.jwk import RSAKey

from services.platform.embedded.ports import free_ports
from services.platform.http import serve

CLIENT = "muster"
SECRET = "a client's secret"  # noqa: S105 - nobody's
CODE = "code-1"


@cache
def first_key() -> RSAKey:
    """The key it has in the beginning; making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})


class FakeProvider:
    """Plays the provider. A test sets what it says; what it was sent is kept."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.key = first_key()
        self.published = [self.key]
        self.claims: dict[str, Any] = {
            "sub": "u-1",
            "preferred_username": "li.na",
            "name": "Li Na",
            "roles": ["er-duty", "planner"],
        }
        self.header = {"alg": "RS256", "kid": "k1"}
        self.metadata: dict[str, Any] = {}
        self.sign_with: Any = self.key
        self.token: str | None = None
        self.asked: dict[str, str] = {}
        self.credentials: str | None = None

    def approve(self, url: str) -> dict[str, str]:
        """Let the person sign in: what the browser brings back for the address it was sent to."""
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        return {"code": CODE, "state": self.asked["state"]}

    def id_token(self) -> str:
        """Sign what it says; the claims that a test leaves out are the right ones."""
        if self.token is not None:
            return self.token
        now = int(time.time())
        right = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": self.asked["nonce"]}
        claims = {name: value for name, value in (right | self.claims).items() if value is not None}
        return jwt.encode(self.header, claims, self.sign_with, algorithms=["RS256", "HS256"])

    def app(self) -> FastAPI:
        """Its endpoints."""
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        async def discovery() -> dict[str, Any]:
            found = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
            return found | self.metadata

        @app.get("/keys")
        async def keys() -> dict[str, Any]:
            return {"keys": [key.as_dict(private=False) for key in self.published]}

        @app.post("/token")
        async def token(request: Request) -> Response:
            form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
            challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
            self.credentials = request.headers.get("authorization") or form.get("client_secret")
            good = (
                form["code"] == CODE
                and form["redirect_uri"] == self.asked["redirect_uri"]
                and challenge.rstrip("=") == self.asked["code_challenge"]
            )
            if not good:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return JSONResponse({"access_token": "unused", "token_type": "Bearer", "id_token": self.id_token()})

        return app


@asynccontextmanager
async def running_provider() -> AsyncIterator[FakeProvider]:
    """Serve one while the context lasts."""
    (port,) = free_ports(1)
    provider = FakeProvider(port)
    task = asyncio.create_task(serve(provider.app(), "127.0.0.1", port))
    for _ in range(100):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            break
        await asyncio.sleep(0.05)
    try:
        yield provider
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
