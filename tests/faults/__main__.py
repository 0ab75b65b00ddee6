"""The fault suite: ``python -m tests.faults``. Exits with 1 for anything lost, done twice, not recovered, not tried."""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from json import dumps
from pathlib import Path

from services.cli.output import aside, console, print_table
from services.platform.invariants import check_invariants
from services.platform.logs import configure_logging
from services.platform.postgres import connect
from tests.faults.mutations import MUTATIONS, Mutation
from tests.faults.nemesis import FAULTS, Fault
from tests.faults.trial import Row, staged
from tests.faults.world import CORE, SERVICES, World

SEED = 5
RATE = 3.0
"""Incidents a second; each is 4 orders, 16 answers and 22 entries on its timeline."""
COLUMNS = (
    "fault",
    "load",
    "incidents",
    "orders",
    "answers",
    "lost",
    "duplicated",
    "out of order",
    "sent again",
    "worst recovery",
)
MUTATION_COLUMNS = ("safeguard removed", "fault", "incidents", "caught", "what the checker found")


def cells(row: Row) -> tuple[object, ...]:
    """Write a row of the table."""
    recovered = "never" if row.recovery is None else f"{row.recovery:.1f} s"
    load = f"{row.rate:g}/s for {row.seconds:.0f} s"
    counts = (row.incidents, row.orders, row.answers, row.lost, row.twice, row.disorder, row.redelivered)
    return (row.fault, load, *counts, recovered)


def kinds(row: Row) -> str:
    """Count findings by kind."""
    found = Counter(finding.kind.value for finding in row.findings)
    return ", ".join(f"{kind}: {number}" for kind, number in found.most_common()) or "nothing"


def tell(message: str) -> None:
    """Say how far it is, on stderr."""
    aside.print(time.strftime("%H:%M:%S"), message, soft_wrap=True, markup=False)


async def try_faults(
    world: World, faults: Sequence[Fault], seed: int, rate: float, until: float
) -> tuple[list[Row], int]:
    """Do one fault after another to the same world, until the time is over; gives rows and broken invariants."""
    rows: list[Row] = []
    async with staged(world, rate, "faults") as stage:
        for fault in faults:
            if time.monotonic() > until:
                tell(f"time is over: {fault.name} is left out")
                continue
            if fault.needs_disk and world.no_disk is not None:
                tell(f"{fault.name}: can't be done here: {world.no_disk}")
                continue
            tell(f"{fault.name}: {fault.what}")
            row = await stage.run(fault, seed)
            rows.append(row)
            tell(f"{fault.name}: {' | '.join(map(str, cells(row)[1:]))}")
            for finding in row.findings[:5]:
                tell(f"  {finding.kind.value}: incident {finding.incident}: {finding.text}")
            await world.until_ready()
        broken = await doctor(world.database)
    return rows, broken


async def doctor(database: str) -> int:
    """Let the record's own invariants be checked as well; returns how many are broken."""
    pool = await connect(database, size=1)
    try:
        found = await check_invariants(pool)
    finally:
        await pool.close()
    for finding in found:
        if finding.broken:
            tell(f"doctor: {finding.name}: {finding.broken} of {finding.looked_at}, such as {finding.examples}")
    tell(f"doctor: {len(found)} invariants over {sum(each.looked_at for each in found)} rows")
    return sum(finding.broken > 0 for finding in found)


async def try_mutations(
    world: World, mutations: Sequence[Mutation], seed: int, rate: float
) -> list[tuple[Mutation, Row]]:
    """Take out one safeguard after another, and see whether the checker notices."""
    rows: list[tuple[Mutation, Row]] = []
    for number, mutation in enumerate(mutations):
        tell(f"without {mutation.safeguard or 'nothing'}: {mutation.fault.what}")
        async with staged(world, rate, f"mutation_{number}", without=mutation.safeguard) as stage:
            row = await stage.run(mutation.fault, seed, within=mutation.within)
        rows.append((mutation, row))
        tell(f"without {mutation.safeguard}: {kinds(row)}")
    return rows


def _is_asked_for(name: str, only: Sequence[str] | None) -> bool:
    return not only or any(word in name for word in only)


async def run(options: argparse.Namespace) -> int:
    """Run what was asked for; returns the exit code."""
    chosen = [fault for fault in FAULTS if (fault.subset or not options.subset)]
    if options.only:
        chosen = [fault for fault in FAULTS if _is_asked_for(fault.name, options.only)]
    until = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory(prefix="muster-faults-", ignore_cleanup_errors=True) as temporary:
        services = CORE if options.subset or options.mutations else SERVICES
        world = World(options.folder or Path(temporary), services)
        tell("starting three brokers, a database and the services")
        try:
            await world.start()
            if options.mutations:
                wanted = [each for each in MUTATIONS if _is_asked_for(each.safeguard or "none", options.only)]
                found = await try_mutations(world, wanted, options.seed, options.rate)
                return tell_mutations(found, as_json=options.json)
            rows, broken = await try_faults(world, chosen, options.seed, options.rate, until)
        finally:
            await world.stop()
    if options.json:
        console.print_json(dumps([{**asdict(row), "sound": row.sound} for row in rows]))
    else:
        print_table(f"Faults, seed {options.seed}", COLUMNS, map(cells, rows))
    return 0 if rows and not broken and all(row.sound for row in rows) else 1


def tell_mutations(found: Sequence[tuple[Mutation, Row]], *, as_json: bool) -> int:
    """Print the mutation table; returns the exit code: 1 when the checker has missed one."""
    rows = [
        (mutation.safeguard or "none", row.fault, row.incidents, "no" if row.sound else "yes", kinds(row))
        for mutation, row in found
    ]
    if as_json:
        console.print_json(dumps([dict(zip(MUTATION_COLUMNS, row, strict=True)) for row in rows]))
    else:
        print_table("Safeguards taken out", MUTATION_COLUMNS, rows)
    return 0 if all(row.sound == (mutation.safeguard is None) for mutation, row in found) else 1


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="the same seed does the same things in the same order")
    parser.add_argument("--rate", type=float, default=RATE, help="incidents a second")
    parser.add_argument("--minutes", type=float, default=38, help="begin no further fault after so many minutes")
    parser.add_argument("--only", action="append", help="only faults (or safeguards) with this in their name")
    parser.add_argument("--subset", action="store_true", help="the short selection that CI runs")
    parser.add_argument("--mutations", action="store_true", help="take out one safeguard after another instead")
    parser.add_argument("--folder", type=Path, help="keep data, logs and histories in this folder")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    configure_logging(form="console", level="critical")  # departments live in this process, and tell of every fault,
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # as does their library
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
