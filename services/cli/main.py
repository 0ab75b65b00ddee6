"""The ``muster`` command. Only what is asked for is imported, so that a service carries nothing but itself."""

import os
import sys
from collections.abc import Collection
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer

COMMANDS = {
    "up": (
        "services.cli.up",
        "up",
        "Start broker, database and all services, publish the plans, and run until Ctrl-C.",
    ),
    "serve": (
        "services.cli.serve",
        "serve",
        "Run one service until SIGTERM or Ctrl-C; it then finishes what it has in hand, within 15 seconds.",
    ),
    "migrate": (
        "services.cli.database",
        "migrate",
        "Bring the database's tables up to this version; harmless to repeat.",
    ),
    "roles": (
        "services.cli.roles",
        "list_roles",
        "List who may do what in Postgres; all else is denied. `muster migrate` applies it.",
    ),
    "doctor": ("services.cli.database", "doctor", "Look after the record; exits with 1 when something is amiss."),
    "backup": (
        "services.cli.backup",
        "backup",
        "Write everything the database holds into a new folder, from one moment, while the services work on.",
    ),
    "restore": (
        "services.cli.backup",
        "restore",
        "Put a backup in the place of the database, and decide again what the broker has of the time since.",
    ),
    "catch-up": (
        "services.cli.backup",
        "catch_up",
        "Decide again what the broker has and the record hasn't, after a database was recovered by other means.",
    ),
    "bench": (
        "services.cli.bench",
        "bench",
        "Measure the distance to the limit, on servers of its own; nothing that runs here already is touched.",
    ),
}
"""Commands by name: the module, the function that is one, and how its help begins."""

GROUPS = {
    "topics": ("services.cli.topics", "The topics on the broker, and who may do what with them."),
    "plan": ("services.cli.plan", "Check, publish, explain, simulate and compare emergency plans."),
    "incident": ("services.cli.incident", "Report, look at, and steer incidents."),
    "department": ("services.cli.department", "Departments: who they are, and their own side of Muster."),
    "drill": ("services.cli.drill", "Exercise the plans, and read the reports back."),
    "dead-letters": ("services.cli.dead_letters", "Messages that could not be taken."),
    "person": ("services.cli.person", "What is on record about people."),
    "retention": ("services.cli.retention", "How long the record is kept, and what is held."),
    "user": ("services.cli.user", "The people who may sign in."),
    "token": ("services.cli.token", "What programs sign in with: MUSTER_TOKEN, or `Authorization: Bearer`."),
}
"""Groups of commands by name: the module whose ``app`` it is, and its help."""

_COMPLETING = "_MUSTER_COMPLETE"
"""The variable by which a shell asks how to complete a line; the line is not in the arguments then."""


def muster(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Coordinates emergency response across departments, and measures it."""
    if show_version:
        typer.echo(f"muster {version('muster')}")
        raise typer.Exit


def make_app(asked: Collection[str] = (*COMMANDS, *GROUPS)) -> typer.Typer:
    """Make the command line; a command or group that isn't asked for is in the list of them, and no more."""
    app = typer.Typer(name="muster", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback(invoke_without_command=True)(muster)
    for name, (module, function, help_) in COMMANDS.items():
        if name in asked:
            app.command(name)(getattr(import_module(module), function))
        else:
            app.command(name, help=help_)(_unasked)
    for name, (module, help_) in GROUPS.items():
        if name in asked:
            app.add_typer(import_module(module).app, name=name, help=help_)
        else:
            app.command(name, help=help_)(_unasked)
    return app


def _unasked() -> None:
    """Stands for a command in the list of them."""


def main() -> None:
    """Run the command line."""
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    (make_app() if _COMPLETING in os.environ else make_app([asked]))()
