"""What access must be told: how long a session lasts, under which names Muster is reached, who vouches for people."""

from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.envelope import explain
from services.platform.errors import ConfigurationError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that a browser trusts without encryption, as they are this machine."""


def _from_words(value: Any) -> Any:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode]
"""A list, written with commas between."""


class AccessSettings(BaseSettings):
    """How people are known.

    ``public_url`` is where browsers reach Muster when that isn't what the server itself sees (behind a proxy that
    ends TLS). ``hosts`` are further names it answers to; one that begins with a dot stands for all below it. A
    session ends ``session_idle`` after it was last used and ``session_lifetime`` after it began; its token changes
    every ``session_rotation``.
    """

    model_config = SettingsConfigDict(env_prefix="MUSTER_", env_file=".env", extra="ignore", frozen=True)

    public_url: str | None = None
    hosts: Words = ()
    session_idle: timedelta = timedelta(hours=2)
    session_lifetime: timedelta = timedelta(hours=14)
    session_rotation: timedelta = timedelta(minutes=30)

    _words = field_validator("hosts", mode="before")(_from_words)

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
            raise ValueError("is no address of a site; write it like https://muster.example.org")
        return f"{parts.scheme}://{parts.netloc}"


class OidcSettings(BaseSettings):
    """The identity provider (OpenID Connect), where there is one: ``MUSTER_OIDC_ISSUER`` and ``_CLIENT_ID`` at least.

    ``roles_claim`` and ``departments_claim`` name claims of the id token, with dots between the parts of one that is
    nested. ``roles`` and ``departments`` translate their values, as JSON (``{"er-duty": "duty_officer"}``); a value
    that isn't in them counts when it is a role's or department's own name.
    """

    model_config = SettingsConfigDict(env_prefix="MUSTER_OIDC_", env_file=".env", extra="ignore", frozen=True)

    issuer: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    label: str = "OpenID Connect"
    scopes: Words = ("openid", "profile", "email")
    roles_claim: str = "roles"
    departments_claim: str = "departments"
    roles: dict[str, str] = {}
    departments: dict[str, str] = {}
    algorithms: Words = ("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519")

    _words = field_validator("scopes", "algorithms", mode="before")(_from_words)

    @field_validator("issuer")
    @classmethod
    def _is_reached_safely(cls, value: str) -> str:
        check_transport(value)
        return value

    @field_validator("algorithms")
    @classmethod
    def _only_the_provider_can_sign(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        bad = [name for name in value if name.startswith("HS") or name.lower() == "none"]
        if bad or not value:
            raise ValueError(f"{', '.join(bad) or 'nothing'}: only signatures made with a private key tell who signed")
        return value


def check_transport(address: str) -> None:
    """Raise ValueError for an address that is neither https nor on this machine."""
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"{address}: must begin with https://")


def read_access() -> AccessSettings:
    """Read them from the environment; raises `ConfigurationError` in one line."""
    try:
        return AccessSettings()
    except ValidationError as error:
        raise ConfigurationError(f"MUSTER_ settings: {explain(error)}") from None


def read_oidc() -> OidcSettings | None:
    """Read them from the environment, None where no issuer is named; raises `ConfigurationError` in one line."""
    try:
        return OidcSettings()
    except ValidationError as error:
        if any(part["type"] == "missing" and part["loc"] == ("issuer",) for part in error.errors()):
            return None
        raise ConfigurationError(f"MUSTER_OIDC_ settings: {explain(error)}") from None
