"""The ``muster`` command. Only what is asked for is imported, so that a service carries nothing but itself."""

import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer

COMMANDS = {
    "up": ("services.cli.up", "up"),
    "serve": ("services.cli.serve", "serve"),
    "migrate": ("services.cli.database", "migrate"),
    "roles": ("services.cli.roles", "list_roles"),
    "doctor": ("services.cli.database", "doctor"),
    "backup": ("services.cli.backup", "backup"),
    "restore": ("services.cli.backup", "restore"),
    "catch-up": ("services.cli.backup", "catch_up"),
    "bench": ("services.cli.bench", "bench"),
}
"""Commands by name: the module and the function that is one."""

GROUPS = {
    "topics": "services.cli.topics",
    "plan": "services.cli.plan",
    "incident": "services.cli.incident",
    "department": "services.cli.department",
    "drill": "services.cli.drill",
    "dead-letters": "services.cli.dead_letters",
    "person": "services.cli.person",
    "retention": "services.cli.retention",
    "user": "services.cli.user",
    "token": "services.cli.token",
}
"""Groups of commands by name: the module whose ``app`` it is."""


def muster(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Coordinates emergency response across departments, and measures it."""
    if show_version:
        typer.echo(f"muster {version('muster')}")
        raise typer.Exit


def make_app(names: Iterable[str] = (*COMMANDS, *GROUPS)) -> typer.Typer:
    """Make the command line with these commands and groups."""
    app = typer.Typer(name="muster", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback(invoke_without_command=True)(muster)
    for name in names:
        if name in COMMANDS:
            module, function = COMMANDS[name]
            app.command(name)(getattr(import_module(module), function))
        else:
            app.add_typer(import_module(GROUPS[name]).app, name=name)
    return app


def main() -> None:
    """Run the command line."""
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    known = asked in COMMANDS or asked in GROUPS
    make_app([asked] if known else (*COMMANDS, *GROUPS))()
