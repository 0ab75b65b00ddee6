"""How long it takes from the command until a service has handled what was waiting for it."""

import asyncio

from services.bench import contenders
from services.bench.contenders import reports
from services.bench.figures import Row, figure
from services.bench.plan import Plan
from services.bench.stage import Stage


async def run(stage: Stage, plan: Plan) -> list[Row]:
    """Leave a report on its topic, start dispatch, and wait for the orders."""
    muster = await contenders.muster(stage)
    partitions, each = muster.results["incidents"]
    loop = asyncio.get_running_loop()
    took = []
    for _ in range(plan.starts):
        before = await stage.count(partitions)
        await stage.send_all(reports(muster, 1))
        begun = loop.time()
        process = await stage.muster("dispatch", muster.database)
        await stage.until(partitions, before + each)
        took.append(loop.time() - begun)
        await process.stop()
    title = "from `muster serve dispatch` to the orders of a report that waited"
    return [Row("start-up", "start-up.dispatch", title, figure(took, "s"))]
