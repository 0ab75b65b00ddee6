"""A command carries what it needs: what isn't asked for is listed truly, and not imported."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from services.cli.main import make_app
from services.cli.processes import ATTACH

WEB = {
    "fastapi",
    "jinja2",
    "httpx",
    "lxml",
    "cryptography",
    "joserfc",
    "argon2",
    "typst",
    "services.console",
    "services.intake",
}
ENGINE = {"aiokafka", "faststream", "cel", "services.playbooks"}
IMPORTED = """
import sys
from importlib import import_module
from services.cli.main import make_app
make_app(sys.argv[1].split())
for module in sys.argv[2].split():
    import_module(module)
print(*sys.modules)
"""


def imported(asked: str, modules: str = "") -> set[str]:
    """Give the modules that are there in a fresh process once it has a command, and these modules beside."""
    said = [sys.executable, "-c", IMPORTED, asked, modules]
    return set(subprocess.run(said, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    ("asked", "modules", "spared"),
    [
        ("", "", WEB | ENGINE | {"pydantic", "asyncpg"}),
        ("serve", " ".join(ATTACH[each] for each in ("dispatch", "tracking", "escalation")), WEB),
        ("migrate doctor", "", WEB | ENGINE),
        ("user token person retention", "", (WEB | ENGINE) - {"argon2"}),
    ],
    ids=["--help", "serve", "migrate", "user"],
)
def test_a_command_imports_nothing_that_only_others_need(asked: str, modules: str, spared: set[str]) -> None:
    assert not imported(asked, modules) & spared


def test_what_is_not_asked_for_is_listed_as_it_is() -> None:
    listed, whole = (CliRunner().invoke(app, ["--help"], terminal_width=400) for app in (make_app(()), make_app()))
    assert listed.exit_code == 0
    assert listed.output == whole.output
