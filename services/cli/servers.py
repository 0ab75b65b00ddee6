"""Which servers a command talks to: named in the environment, or those of the ``muster up`` that runs here."""

import json
import os
from pathlib import Path
from typing import Any

from schemas.vocabulary import Namespace
from services.platform.settings import Settings

DATA = Path(".muster")
RUNNING = DATA / "running.json"
"""Where a running ``muster up`` leaves its addresses, readable by its own user only."""


def remember(addresses: dict[str, str]) -> None:
    """Leave the addresses of this ``muster up`` for other commands."""
    RUNNING.parent.mkdir(parents=True, exist_ok=True)
    fresh = RUNNING.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({**addresses, "pid": os.getpid()}, file)
    fresh.replace(RUNNING)


def forget() -> None:
    """Take the addresses back when this ``muster up`` ends."""
    RUNNING.unlink(missing_ok=True)


def running() -> dict[str, Any]:
    """Read the addresses of the ``muster up`` that runs here; empty when none does."""
    try:
        found: dict[str, Any] = json.loads(RUNNING.read_text())
        os.kill(int(found["pid"]), 0)
    except (OSError, ValueError, KeyError):
        return {}
    return found


def settings(**given: Any) -> Settings:
    """Gather settings: what was given, then the environment, then the ``muster up`` that runs here."""
    found = running()
    defaults: dict[str, Any] = {}
    if found and "MUSTER_KAFKA" not in os.environ:
        defaults |= {"kafka": found["kafka"], "embedded_broker": found.get("embedded") == "yes"}
    if found and not {"MUSTER_DATABASE", "MUSTER_DATABASE_FILE"} & os.environ.keys():
        defaults["database"] = found["database"]
    return Settings(**(defaults | {name: value for name, value in given.items() if value is not None}))


def credentials(base: str) -> dict[str, str]:
    """Give the headers that say who asks: ``MUSTER_TOKEN``, or to the ``muster up`` that runs here its own token."""
    found = running()
    token = os.environ.get("MUSTER_TOKEN")
    if token is None and found and (base == found["http"] or base.startswith(f"{found['http']}/")):
        token = found.get("token")
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def http_url(given: str | None, namespace: Namespace) -> str:
    """Say where the intake of a namespace listens; a ``muster up`` serves the exercise's below ``/exercise``."""
    base = given or os.environ.get("MUSTER_HTTP")
    if base is not None:
        return base.rstrip("/")
    base = str(running().get("http", "http://127.0.0.1:8080"))
    return base if namespace is Namespace.ACTUAL else f"{base}/{namespace.value}"
