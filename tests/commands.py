"""Tells whether a written command line is one that `muster` takes, without running it."""

from typing import Any

import typer

from services.cli.main import make_app


def parse(arguments: list[str]) -> None:
    """Parse the arguments of ``muster`` to the end, values included; raises click's usage error."""
    command: Any = typer.main.get_command(make_app())
    name, context = "muster", None
    while hasattr(command, "resolve_command"):
        context = command.make_context(name, arguments, parent=context, resilient_parsing=False)
        rest = [*context._protected_args, *context.args] if hasattr(context, "_protected_args") else context.args
        if not rest:
            return
        name, command, arguments = command.resolve_command(context, rest)
    command.make_context(name, arguments, parent=context)
