"""What access must be told: how Muster is reached and by whom, how long a session lasts, who vouches for people."""

import ssl
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.envelope import explain
from services.platform.errors import ConfigurationError
from services.platform.secret_files import secret_from

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts that a browser trusts without encryption, as they are this machine."""


def _from_words(value: Any) -> Any:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode]
"""A list, written with commas between."""


class AccessSettings(BaseSettings):
    """How Muster is reached, and how people are known.

    ``tls_cert`` and ``tls_key`` (PEM files) let it speak TLS itself. ``proxies`` are the addresses or networks of the
    proxies before it, whose X-Forwarded-For and X-Forwarded-Proto are believed; nobody else's are.
    ``principal_rate`` and ``address_rate`` are requests a second that one person or token, and one address, may send.
    ``connections`` are open at most. ``backlog``: reports that may wait for a decision before intake turns more away.

    ``public_url`` is where browsers reach Muster when that isn't what the server itself sees (behind a proxy that
    ends TLS). ``hosts`` are further names it answers to; one that begins with a dot stands for all below it. A
    session ends ``session_idle`` after it was last used and ``session_lifetime`` after it began; its token changes
    every ``session_rotation``.
    """

    model_config = SettingsConfigDict(env_prefix="MUSTER_", env_file=".env", extra="ignore", frozen=True)

    public_url: str | None = None
    hosts: Words = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    proxies: Words = ()
    principal_rate: float = Field(default=200, gt=0)
    address_rate: float = Field(default=400, gt=0)
    connections: int = Field(default=1_000, ge=1)
    backlog: int = Field(default=10_000, ge=1)
    session_idle: timedelta = timedelta(hours=2)
    session_lifetime: timedelta = timedelta(hours=14)
    session_rotation: timedelta = timedelta(minutes=30)

    _words = field_validator("hosts", "proxies", mode="before")(_from_words)

    @field_validator("proxies")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ip_network(each)
            except ValueError:
                raise ValueError(f"{each}: is no address or network of a proxy; write it like 10.0.0.0/24") from None
        return value

    @model_validator(mode="after")
    def _has_both(self) -> "AccessSettings":
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        return self

    def tls(self) -> ssl.SSLContext | None:
        """Make the context of what is served, TLS 1.2 and newer; raises `ConfigurationError` for unusable files."""
        if self.tls_cert is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # With an empty password an encrypted key is an error; without one OpenSSL would ask on the terminal.
            context.load_cert_chain(self.tls_cert, self.tls_key, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            files = f"{self.tls_cert} and {self.tls_key}"
            raise ConfigurationError(f"MUSTER_TLS_CERT, MUSTER_TLS_KEY: {files}: can't be used: {reason}") from None
        return context

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
    client_secret_file: Path | None = None
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


def read_access(**given: Any) -> AccessSettings:
    """Read them from the environment, but for what is given; raises `ConfigurationError` in one line."""
    try:
        found = AccessSettings(**{name: value for name, value in given.items() if value is not None})
        found.tls()  # what is wrong with its files is told here, where nothing has been opened yet
        return found
    except ValidationError as error:
        raise ConfigurationError(f"MUSTER_ settings: {explain(error)}") from None


def read_oidc() -> OidcSettings | None:
    """Read them from the environment, None where no issuer is named; raises `ConfigurationError` in one line."""
    try:
        found = OidcSettings()
        secret = secret_from("MUSTER_OIDC_CLIENT_SECRET", found.client_secret, found.client_secret_file)
        return found.model_copy(update={"client_secret": secret})
    except ValidationError as error:
        if any(part["type"] == "missing" and part["loc"] == ("issuer",) for part in error.errors()):
            return None
        raise ConfigurationError(f"MUSTER_OIDC_ settings: {explain(error)}") from None
