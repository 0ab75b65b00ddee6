"""Feeds that push what they know and can't hold a token: each call is signed with a secret that only the feed has.

A call is taken once: its id is the idempotency key of what it reports, so that a copy of it gets the first answer
again and changes nothing; a copy that comes late is refused for its time. A feed belongs to one world.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.base import Slug
from schemas.envelope import explain
from schemas.vocabulary import Namespace
from services.platform.access.asking import Access, unauthorized
from services.platform.access.principal import Principal
from services.platform.body import JSON, XML, read_body
from services.platform.clock import Clock, SystemClock
from services.platform.errors import ConfigurationError
from services.platform.problem import ProblemError
from services.platform.secret_files import secret_from
from services.platform.webhooks import SignatureError, check_time, key_of, verify


class FeedSettings(BaseSettings):
    """``MUSTER_FEEDS``, or the file that ``MUSTER_FEEDS_FILE`` names: JSON, a secret for each feed of each world.

    ``{"actual": {"weather-service": "whsec_..."}}``; while a secret is changed, two in a list.
    """

    model_config = SettingsConfigDict(env_prefix="MUSTER_", env_file=".env", extra="ignore", frozen=True)

    feeds: SecretStr | None = None
    feeds_file: Path | None = None


class _Written(BaseModel):
    """The JSON of the settings."""

    model_config = ConfigDict(extra="forbid")

    actual: dict[Slug, str | list[str]] = {}
    exercise: dict[Slug, str | list[str]] = {}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that proved where it comes from. ``key`` is what a repeat of it is known by."""

    feed: str
    caller: Principal
    key: str
    content_type: str
    body: bytes


class Feeds:
    """The feeds of one world, by name, each with the keys that it may sign with."""

    def __init__(self, keys: Mapping[str, tuple[bytes, ...]] = {}, clock: Clock | None = None) -> None:
        self._keys = dict(keys)
        self._clock = clock or SystemClock()

    async def take(self, feed: str, request: Request) -> Call:
        """Read and check one call; raises `ProblemError`, and reads no body of whom it doesn't know."""
        keys = self._keys.get(feed)
        now = self._clock.now()
        try:
            if keys is None:
                raise SignatureError(f"feed {feed}: there is none here; an operator adds it to MUSTER_FEEDS")
            check_time(request.headers, now)
            content_type, body = await read_body(request, (*JSON, *XML))
            id_ = verify(keys, request.headers, body, now)
        except SignatureError as error:
            raise unauthorized(str(error), "bad-signature") from None
        caller = Principal(
            uuid5(NAMESPACE_URL, f"urn:muster:feed:{feed}"), f"feed {feed}", frozenset(), may_report=True
        )
        # No idempotency key that a client may send holds this dot, so nobody can take a feed's ids beforehand.
        return Call(feed, caller, f"feed·{feed}·{id_}", content_type, body)


def read_feeds(namespace: Namespace) -> Feeds:
    """Read the feeds of a world from the settings; raises `ConfigurationError` in one line, without a secret."""
    settings = FeedSettings()
    written = secret_from("MUSTER_FEEDS", settings.feeds, settings.feeds_file)
    if written is None:
        return Feeds()
    try:
        found = _Written.model_validate(json.loads(written.get_secret_value()))
    except ValidationError as error:
        raise ConfigurationError(f"MUSTER_FEEDS: {explain(error)}") from None
    except ValueError:
        raise ConfigurationError(
            'MUSTER_FEEDS: is not JSON; write it like {"actual": {"weather": "whsec_..."}}'
        ) from None
    secrets: dict[str, str | list[str]] = getattr(found, namespace.value)
    return Feeds(
        {feed: tuple(map(key_of, [given] if isinstance(given, str) else given)) for feed, given in secrets.items()}
    )


@dataclass(frozen=True)
class Signed:
    """Guards a route of a feed, ``{feed}`` in its path: lets a call pass that is signed, and gives it to the route."""

    async def __call__(self, request: Request) -> Call:
        """Take the call, or stop the request with 401."""
        access: Access = request.app.state.access
        feeds: Feeds = request.app.state.feeds
        try:
            return await feeds.take(request.path_params["feed"], request)
        except ProblemError as problem:
            if problem.status is HTTPStatus.UNAUTHORIZED:
                await access.refused(request, None, problem)
            raise


def signed() -> Any:
    """Let only signed calls through; goes into ``Annotated``."""
    return Depends(Signed())
