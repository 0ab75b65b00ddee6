"""How a process gets into Kafka: the address, TLS, and who it is; the one place that makes clients' arguments of it.

Whatever connects takes `Brokers`, or a plain address for brokers that ask for nothing. A password is a `SecretStr`
until a client is made, and no message of ours says it.
"""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from services.platform.errors import ConfigurationError


class Security(StrEnum):
    """What the brokers ask for. Names and passwords go in the clear with ``sasl_plaintext``: on this machine only."""

    PLAINTEXT = "plaintext"
    SSL = "ssl"
    SASL_PLAINTEXT = "sasl_plaintext"
    SASL_SSL = "sasl_ssl"

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted, and the brokers prove who they are."""
        return self in {Security.SSL, Security.SASL_SSL}

    @property
    def has_user(self) -> bool:
        """Whether the brokers ask for a name and a password."""
        return self in {Security.SASL_PLAINTEXT, Security.SASL_SSL}


class Mechanism(StrEnum):
    """How a password is proved. SCRAM does not send it; PLAIN does, as some hosted brokers want."""

    SCRAM_SHA_512 = "SCRAM-SHA-512"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    PLAIN = "PLAIN"


@dataclass(frozen=True)
class Brokers:
    """Where the brokers are, and how to get in; as text it is their address.

    ``ca`` is a file of certificates to trust (without one, those that the system trusts), ``cert`` and ``key`` are the
    client's own, for brokers that ask for one. Raises `ConfigurationError` for what doesn't go together, before
    anything is sent anywhere.
    """

    bootstrap: str
    security: Security = Security.PLAINTEXT
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    username: str | None = None
    password: SecretStr | None = None
    mechanism: Mechanism = Mechanism.SCRAM_SHA_512

    def __post_init__(self) -> None:
        tls = {"MUSTER_KAFKA_CA": self.ca, "MUSTER_KAFKA_CERT": self.cert, "MUSTER_KAFKA_KEY": self.key}
        user = {"MUSTER_KAFKA_USERNAME": self.username, "MUSTER_KAFKA_PASSWORD": self.password}
        for allowed, given in ((self.security.has_tls, tls), (self.security.has_user, user)):
            for name in (name for name, value in given.items() if value is not None and not allowed):
                # Somebody who gives a certificate or a password believes in a protection that wouldn't be there.
                raise ConfigurationError(f"{name}: MUSTER_KAFKA_SECURITY={self.security} makes no use of it")
        if self.security.has_user:
            for name in (name for name, value in user.items() if not value):
                raise ConfigurationError(f"{name}: is needed with MUSTER_KAFKA_SECURITY={self.security}")
        if self.key is not None and self.cert is None:
            raise ConfigurationError("MUSTER_KAFKA_CERT: is needed with MUSTER_KAFKA_KEY")
        if self.security is Security.SASL_PLAINTEXT:
            for host in (host for host in self._hosts() if not _is_here(host)):
                raise ConfigurationError(
                    f"MUSTER_KAFKA_SECURITY: sasl_plaintext is for this machine only; use sasl_ssl for {host}"
                )

    def __str__(self) -> str:
        return self.bootstrap

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """The context of every connection; it checks the brokers' certificates and their names."""
        if not self.security.has_tls:
            return None
        setting, path = "MUSTER_KAFKA_CA", self.ca
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
            context.sslobject_class = _Parting
            if self.cert is not None:
                setting, path = "MUSTER_KAFKA_CERT", self.cert
                # With an empty password an encrypted key is an error; without one OpenSSL would ask on the terminal.
                context.load_cert_chain(self.cert, self.key, password="")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(f"{setting}: {path}: can't be used: {reason}") from None
        return context

    def options(self) -> dict[str, Any]:
        """Give the arguments of any client of aiokafka; raises `ConfigurationError` for files that can't be used."""
        found: dict[str, Any] = {"bootstrap_servers": self.bootstrap.split(",")}
        if self.security is not Security.PLAINTEXT:
            found["security_protocol"] = self.security.name
        if self.tls is not None:
            found["ssl_context"] = self.tls
        if self.password is not None:
            found |= {
                "sasl_mechanism": self.mechanism.value,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.get_secret_value(),
            }
        return found

    def advice(self) -> str:
        """Say what to look at when they can't be reached."""
        if self.security is Security.PLAINTEXT:
            return "check MUSTER_KAFKA and that the broker is running"
        return "check MUSTER_KAFKA, that the broker is running, and the MUSTER_KAFKA_ settings for TLS and user"

    def _hosts(self) -> list[str]:
        return [each.strip().rpartition(":")[0].strip("[]") for each in self.bootstrap.split(",")]


class _Parting(ssl.SSLObject):
    """Says goodbye on closing, and doesn't wait for the other side's.

    A broker that has a consumer's long fetch in hand says none, and uvloop would wait half a minute for it before a
    client is closed. RFC 8446, section 6.1, asks nobody to wait.
    """

    def unwrap(self) -> None:
        """Send ``close_notify``."""
        with suppress(ssl.SSLWantReadError):
            super().unwrap()


def brokers_at(kafka: str | Brokers) -> Brokers:
    """Take a plain address for brokers that ask for nothing."""
    return Brokers(kafka) if isinstance(kafka, str) else kafka


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
