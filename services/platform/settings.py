"""What a process must be told: from the environment, prefixed ``MUSTER_``, or from ``.env``."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.vocabulary import Namespace
from services.platform.clock import Clock, ScaledClock, SystemClock
from services.platform.errors import ConfigurationError
from services.platform.kafka_security import Brokers, Mechanism, Security
from services.platform.secret_files import secret_from

_NAMESPACE = "{namespace}"
_CHECKED = "verify-full"
"""The ``sslmode`` in which the server's certificate and name are checked (libpq, "SSL Support")."""


class Settings(BaseSettings):
    """One process's settings. ``MUSTER_KAFKA`` and ``MUSTER_DATABASE`` name the servers to use.

    The database's address holds its password; ``MUSTER_DATABASE_FILE`` names a file that has the address instead, and
    ``MUSTER_DATABASE_PASSWORD_FILE`` one that has the password alone.

    ``embedded_broker`` is for the broker Muster starts by itself, which is brisk to rejoin.
    ``clock_start`` and ``clock_speed`` make an exercise's services share a faster clock; both are refused in
    the ``actual`` namespace by `clock`.

    The ``kafka_`` settings say how to get into Kafka, the ``database_`` ones how into Postgres. In the user's name and
    in the paths of files ``{namespace}`` stands for the namespace, for a process that has a user of its own in each.
    """

    model_config = SettingsConfigDict(env_prefix="MUSTER_", env_file=".env", extra="ignore", frozen=True)

    kafka: str = "127.0.0.1:9092"
    kafka_security: Security = Security.PLAINTEXT
    kafka_ca: Path | None = None
    kafka_cert: Path | None = None
    kafka_key: Path | None = None
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_password_file: Path | None = None
    kafka_mechanism: Mechanism = Mechanism.SCRAM_SHA_512
    database: str = "postgresql://muster@127.0.0.1:5432/muster"
    database_file: Path | None = None
    database_ca: Path | None = None
    database_password_file: Path | None = None
    namespace: Namespace = Namespace.ACTUAL
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65_535)
    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    replication: int = Field(default=1, ge=1, le=9)
    embedded_broker: bool = False
    playbooks: Path = Path("playbooks")
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    batch: int = Field(default=1_000, ge=1, le=5_000)
    clock_start: datetime | None = None
    clock_speed: float = Field(default=1.0, gt=0, le=10_000)

    @model_validator(mode="before")
    @classmethod
    def _database_from_its_file(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("database_file") is None:
            return given
        address = secret_from("MUSTER_DATABASE", given.get("database"), Path(given["database_file"]))
        return {**given, "database": address.get_secret_value() if address else None}

    @property
    def worlds(self) -> tuple[Namespace, ...]:
        """The namespaces that this process can reach: its own, unless it needs no user or has one in each."""
        who = (each for each in (self.kafka_username, self.kafka_cert) if each is not None)
        return tuple(Namespace) if all(_NAMESPACE in str(each) for each in who) else (self.namespace,)

    def brokers(self, namespace: Namespace | None = None) -> Brokers:
        """Give the way into Kafka as the user of a namespace, by default of the process's own.

        Raises `ConfigurationError` for settings that don't go together or files that can't be read.
        """
        world = (namespace or self.namespace).value
        found = Brokers(
            self.kafka,
            security=self.kafka_security,
            ca=_in(world, self.kafka_ca),
            cert=_in(world, self.kafka_cert),
            key=_in(world, self.kafka_key),
            username=self.kafka_username and self.kafka_username.replace(_NAMESPACE, world),
            password=secret_from("MUSTER_KAFKA_PASSWORD", self.kafka_password, _in(world, self.kafka_password_file)),
            mechanism=self.kafka_mechanism,
        )
        _ = found.tls  # what is wrong with its files is told here, where nothing has been opened yet
        return found

    def postgres(self, namespace: Namespace | None = None) -> str:
        """Give the database's whole address, with its password, as the user of a namespace, by default the process's.

        With ``database_ca`` the server must prove by a certificate of this authority that it is the one named. Raises
        `ConfigurationError` for settings that don't go together or a file that can't be read.
        """
        world = (namespace or self.namespace).value
        parts = urlsplit(self.database.replace(_NAMESPACE, world))
        who, _, where = parts.netloc.rpartition("@")
        if self.database_password_file is not None:
            if ":" in who or not who:
                given = "has a password too; leave one out" if who else "must name the user whose password this is"
                raise ConfigurationError(f"MUSTER_DATABASE_PASSWORD_FILE: MUSTER_DATABASE {given}")
            password = secret_from("MUSTER_DATABASE_PASSWORD", None, _in(world, self.database_password_file))
            who = f"{who}:{quote(password.get_secret_value() if password else '', safe='')}"
        options = parse_qsl(parts.query)
        if self.database_ca is not None:
            if dict(options).get("sslmode", _CHECKED) != _CHECKED:
                raise ConfigurationError(f"MUSTER_DATABASE_CA: goes with sslmode={_CHECKED} only, in MUSTER_DATABASE")
            options += [("sslmode", _CHECKED), ("sslrootcert", str(_in(world, self.database_ca)))]
        return urlunsplit(parts._replace(netloc=f"{who}@{where}" if who else where, query=urlencode(options)))

    def clock(self) -> Clock:
        """Make the process's clock; raises ValueError for a scaled one beside real incidents."""
        if self.clock_start is None:
            return SystemClock()
        if self.namespace is Namespace.ACTUAL:
            raise ValueError("MUSTER_CLOCK_START: only an exercise may run on a clock of its own")
        return ScaledClock(self.clock_start, self.clock_speed)


def _in(world: str, path: Path | None) -> Path | None:
    return path and Path(str(path).replace(_NAMESPACE, world))


STOP_WITHIN = timedelta(seconds=15)
"""How long a process may take to stop once asked: finish what is in hand, give the rest back."""
