"""What a process must be told: from the environment, prefixed ``MUSTER_``, or from ``.env``."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.vocabulary import Namespace
from services.platform.clock import Clock, ScaledClock, SystemClock


class Settings(BaseSettings):
    """One process's settings. ``MUSTER_KAFKA`` and ``MUSTER_DATABASE`` name the servers to use.

    ``embedded_broker`` is for the broker Muster starts by itself, which knows no idempotence and is brisk to rejoin.
    ``clock_start`` and ``clock_speed`` make an exercise's services share a faster clock; both are refused in
    the ``actual`` namespace by `clock`.
    """

    model_config = SettingsConfigDict(env_prefix="MUSTER_", env_file=".env", extra="ignore", frozen=True)

    kafka: str = "127.0.0.1:9092"
    database: str = "postgresql://muster@127.0.0.1:5432/muster"
    namespace: Namespace = Namespace.ACTUAL
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65_535)
    metrics_port: int | None = Field(default=None, ge=0, le=65_535)
    replication: int = Field(default=1, ge=1, le=9)
    embedded_broker: bool = False
    playbooks: Path = Path("playbooks")
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    batch: int = Field(default=200, ge=1, le=5_000)
    clock_start: datetime | None = None
    clock_speed: float = Field(default=1.0, gt=0, le=10_000)

    @property
    def idempotent_producer(self) -> bool:
        """Whether producers ask for idempotence; the embedded broker has none."""
        return not self.embedded_broker

    def clock(self) -> Clock:
        """Make the process's clock; raises ValueError for a scaled one beside real incidents."""
        if self.clock_start is None:
            return SystemClock()
        if self.namespace is Namespace.ACTUAL:
            raise ValueError("MUSTER_CLOCK_START: only an exercise may run on a clock of its own")
        return ScaledClock(self.clock_start, self.clock_speed)


STOP_WITHIN = timedelta(seconds=15)
"""How long a process may take to stop once asked: finish what is in hand, give the rest back."""
