"""``muster drill canary``: proves, round after round, that an exercise has no real effect."""

import asyncio
import json
import signal
import sys
from datetime import timedelta
from typing import Annotated

import typer
from prometheus_client import start_http_server
from pydantic_core import to_json

from schemas.base import parse_duration
from schemas.vocabulary import Namespace
from services.cli.output import JsonFlag, aside, console, fail, print_json, run
from services.cli.servers import settings
from services.drills.canary import Canary, Round
from services.drills.record import DrillError
from services.platform.errors import MusterError
from services.platform.logs import configure_logging

SHOWN = 20
"""Leaks that are printed of one round; all of them are counted."""


@run
async def canary_command(
    every: Annotated[str, typer.Option(help="How long from one round to the next, as 60s or 5m.")] = "60s",
    once: Annotated[
        bool, typer.Option("--once", help="Play one round; exits with 1 unless it proves that all is well.")
    ] = False,
    plan: Annotated[
        str | None, typer.Option(help="The plan to play; by default the one with the fewest tasks.")
    ] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Give the counts to Prometheus on this port.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Play a tiny exercise beside real operations through the services that run, and count its real effects.

    Without --once it goes on until Ctrl-C, and then exits with 1 when anything had leaked.
    """
    pause = _pause(every)
    configure_logging(form="console" if aside.is_terminal else "json", level="error")
    if metrics_port is not None:
        start_http_server(metrics_port, "127.0.0.1")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    leaked = 0
    async with Canary(settings(namespace=Namespace.EXERCISE), plan=plan) as canary:
        while not stop.is_set():
            try:
                done = await canary.round()
            except (MusterError, OSError) as error:
                if once or isinstance(error, DrillError):
                    raise
                aside.print(f"no round could be played: {error}", style="red", markup=False)
            else:
                leaked += len(done.leaks)
                _tell(done, as_json=as_json, once=once)
                if once and not done.clean:
                    raise typer.Exit(1)
            if once:
                return
            await _rest(stop, pause)
    if leaked:
        fail(f"canary: {leaked} real effects of an exercise")


def _pause(text: str) -> float:
    try:
        span = parse_duration(text)
    except ValueError as error:
        fail(f"--every {text}: {error}", 2)
    assert isinstance(span, timedelta)  # noqa: S101 - for the type checker: text always becomes one
    if not span:
        fail("--every: must be longer than nothing", 2)
    return span.total_seconds()


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), timeout=seconds)
    except TimeoutError:
        return


def _tell(done: Round, *, as_json: bool, once: bool) -> None:
    if as_json:
        shown = {**json.loads(to_json(done)), "clean": done.clean, "real_effects": len(done.leaks)}
        shown["leaks"] = shown["leaks"][:SHOWN]
        if once:
            print_json(shown)
        else:  # one document on each line, for as long as it runs
            sys.stdout.write(json.dumps(shown, ensure_ascii=False) + "\n")
            sys.stdout.flush()
        return
    effects = f"{len(done.leaks)} real effects"
    said = f"round {done.number}: {done.orders} orders of {done.plan} in {done.seconds:.1f} s, {effects}"
    console.print(f"{said}; {done.reason}" if done.reason else said, style=None if done.clean else "red", markup=False)
    for leak in done.leaks[:SHOWN]:
        console.print(f"  {leak.way}: {leak.where}: {leak.what}", style="red", markup=False, soft_wrap=True)
