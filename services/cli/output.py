"""How commands speak: one JSON document or a table on stdout, one line for what went wrong on stderr."""

import json
import sys
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import Annotated, Any, NoReturn, ParamSpec

import typer
import uvloop
from pydantic_core import to_json
from rich import box
from rich.console import Console
from rich.table import Table

from services.platform.embedded.errors import EmbeddedError
from services.platform.errors import MusterError
from services.platform.one_line import one_line

_WIDE = 180
"""Columns of a table that goes into a file or a pipe."""

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
"""Results, on stdout."""
aside = Console(stderr=True, highlight=False)
"""Progress and explanations, on stderr."""


def print_json(value: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(json.loads(to_json(value)), ensure_ascii=False, indent=2) + "\n")


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table; None is shown as a dash."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=box.SIMPLE_HEAD)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*("–" if cell is None else str(cell) for cell in row))
    console.print(table)


def fail(message: str, code: int = 1) -> NoReturn:
    """End with one line on stderr: 1 for a refusal or a finding, 2 for misuse."""
    aside.print(f"muster: {one_line(message)}", style="red", soft_wrap=True, markup=False)
    raise typer.Exit(code)


P = ParamSpec("P")


def run(command: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Let an async function be a command; what Muster can explain ends in one line and exit code 1."""

    @wraps(command)
    def sync(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            uvloop.run(command(*args, **kwargs))
        except (MusterError, EmbeddedError) as error:
            fail(str(error))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return sync
