"""Whether a service's memory stays flat under load: its resident size over minutes of incidents and answers."""

import asyncio

from services.bench import contenders
from services.bench.contenders import Answers, reports
from services.bench.cost import resident_bytes
from services.bench.figures import Row, Target, figure
from services.bench.plan import Plan
from services.bench.stage import Stage

RATE = 20
"""Incidents a second; their six orders each are all answered."""
FLAT = Target(at_most=1.1)
"""Flat: the last fifth of the time holds at most a tenth more than the second fifth."""
_MB = 1024 * 1024


async def run(stage: Stage, plan: Plan) -> list[Row]:
    """Load the services of a response evenly and watch their size."""
    services = ("dispatch", "tracking", "escalation")
    muster = await contenders.muster(stage, *services)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    until = begun + plan.minutes * 60
    sizes: dict[str, list[float]] = {service: [] for service in services}
    answers = Answers(muster)
    sent = 0
    while (now := loop.time()) < until:
        due = int((now - begun) * RATE) - sent
        await stage.send_all(reports(muster, due))
        sent += due
        await answers.read()
        await stage.send_all(answers.take(len(answers)))
        for service, process in zip(services, muster.processes, strict=True):
            sizes[service].append(resident_bytes(process.pid or 0) / _MB)
        await asyncio.sleep(1)
    rows = []
    for service, values in sizes.items():
        fifth = max(1, len(values) // 5)
        early, late = figure(values[fifth : 2 * fifth], "MB"), figure(values[-fifth:], "MB")
        rows.append(Row("memory", f"memory.{service}", f"{service}'s memory at the end, {sent:,} incidents", late))
        growth = figure([late.median / early.median], "x")
        title = f"{service}'s memory over {plan.minutes:g} minutes, last fifth of the second"
        rows.append(Row("memory", f"memory.{service}.growth", title, growth, of="the second fifth", target=FLAT))
    return rows
