"""The ``muster`` command."""

from importlib.metadata import version
from typing import Annotated

import typer

from services.cli import database, dead_letters, department, drill, incident, plan
from services.cli.serve import serve
from services.cli.up import up

app = typer.Typer(
    name="muster",
    help="Coordinates emergency response across departments, and measures it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def muster(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Coordinates emergency response across departments, and measures it."""
    if show_version:
        typer.echo(f"muster {version('muster')}")
        raise typer.Exit


app.command()(up)
app.command()(serve)
app.command()(database.migrate)
app.command()(database.topics)
app.command()(database.doctor)
app.add_typer(plan.app, name="plan")
app.add_typer(incident.app, name="incident")
app.add_typer(department.app, name="department")
app.add_typer(drill.app, name="drill")
app.add_typer(dead_letters.app, name="dead-letters")


def main() -> None:
    """Run the command line."""
    app()
