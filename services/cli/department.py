"""``muster department``: the directory, and a department's own side: listen to orders, look at them, answer them."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from re import fullmatch
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic_core import to_json
from rich.text import Text as Line

from schemas.base import DEPARTMENT_PATTERN, Text
from schemas.vocabulary import Answer, Namespace
from services.cli.output import JsonFlag, aside, console, fail, print_json, print_table, run
from services.cli.servers import DATA, settings
from services.departments import Department, Order
from services.departments.agent import AutomaticAgent
from services.domain.directory import Directory
from services.platform.errors import MusterError, UnreachableError
from services.platform.kafka import BRISK, STEADY
from services.platform.logs import configure_logging
from services.platform.postgres import connect
from services.platform.published import PublishedPlaybook
from services.playbooks.directory import load_directory
from services.playbooks.problem import PlaybookError
from services.playbooks.stored import directory_from, plan_from

app = typer.Typer(no_args_is_help=True)

JOURNALS = DATA / "departments"
AGENT = "automatic agent"
STOP_WITHIN = 1.0
"""Seconds that an agent at work gets to end; it goes on with its orders after the next start."""
_ENDING = {Namespace.ACTUAL: ".journal", Namespace.EXERCISE: ".exercise.journal"}

Name = Annotated[str, typer.Argument(help="The department's id in the directory.", metavar="NAME")]
NamespaceOption = Annotated[
    Namespace | None, typer.Option(help="The world to work in; MUSTER_NAMESPACE, or actual, by default.")
]
JournalOption = Annotated[
    Path | None, typer.Option(help="The department's memory; a file under .muster/departments by default.")
]

Reply = StrEnum("Reply", {each.name: each.value for each in Answer if each is not Answer.DELIVER})  # type: ignore[misc]
"""What a person may answer; receipts are sent by themselves."""


@app.command(name="list")
@run
async def list_all(
    playbooks: Annotated[Path | None, typer.Option(help="The folder with departments.yaml.")] = None,
    published: Annotated[bool, typer.Option("--published", help="Read what is published in the database.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the directory: every department, and whom to call there."""
    try:
        if published:
            directory = await _published()
        else:
            directory = load_directory((playbooks or settings().playbooks) / "departments.yaml")
    except PlaybookError as error:
        fail(str(error.problems[0]))
    departments = list(directory.departments.values())
    if as_json:
        print_json({"duty_officer": directory.duty_officer, "departments": departments})
        return
    rows = [
        (each.id, _both(each.title), each.duty_phone, each.liaison.phone, each.deputy.phone, each.superior.department)
        for each in departments
    ]
    print_table("Departments", ("id", "name", "duty phone", "liaison", "deputy", "superior"), rows)
    console.print(f"The duty officer sits in {directory.duty_officer}.")


async def _published() -> Directory:
    pool = await connect(settings().postgres(), size=2)
    try:
        return (await PublishedPlaybook(pool, plan_from, directory_from).current()).directory
    finally:
        await pool.close()


@app.command()
@run
async def listen(
    name: Name,
    auto: Annotated[bool, typer.Option("--auto", help="Answer by itself: commit, start, complete; exercises only.")] = (
        False
    ),
    namespace: NamespaceOption = None,
    journal: JournalOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Receive orders until interrupted, print each one, and send the receipts; with --json one line for each."""
    department = _department(name, namespace, journal)
    if auto and department.namespace is Namespace.ACTUAL:
        fail("--auto: nobody would do the work it reports; it is for exercises only (--namespace exercise)", 2)
    agent = AutomaticAgent(by=AGENT)

    async def show(order: Order) -> None:
        _print_line(order) if as_json else _print_order(order)

    @department.on_order
    async def receive(order: Order) -> None:
        await show(order)
        if auto:
            await agent.handle(order)

    department.on_change(show)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, department.stop)
    aside.print(f"{name} listens in the {department.namespace} namespace; Ctrl-C ends it.", style="dim")
    await department.run()


@app.command()
@run
async def inbox(
    name: Name,
    namespace: NamespaceOption = None,
    journal: JournalOption = None,
    all_: Annotated[bool, typer.Option("--all", help="Ended orders too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what is open, after reading what the broker has."""
    with _opened(_department(name, namespace, journal)) as department:
        caught_up = await _catch_up(department)
        orders = [order for order in department.orders() if order.is_open or all_]
        if as_json:
            print_json(
                {
                    "department": name,
                    "namespace": department.namespace,
                    "caught_up": caught_up,
                    "orders": [_document(order) for order in orders],
                }
            )
            return
        if department.namespace is Namespace.EXERCISE:
            console.print(_banner())
        rows = [
            (
                order.id,
                order.status.value.upper() if order.is_exercise else order.status.value,
                f"copy for {order.department}" if order.is_copy else order.state.value,
                _both(order.title),
                order.deadlines.acknowledge_by,
                order.deadlines.complete_by,
            )
            for order in orders
        ]
        columns = ("id", "status", "state", "task", "answer by", "complete by")
        print_table(f"Orders of {name}", columns, rows)


@app.command()
@run
async def reply(
    assignment: Annotated[str, typer.Argument(help="The order's id, or the end of it.")],
    answer: Annotated[Reply, typer.Argument(help="What to say.")],
    note: Annotated[str | None, typer.Option(help="Anything else worth saying.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; needed to decline, block, fail or delegate.")] = None,
    read_back: Annotated[str | None, typer.Option(help="The order in your own words, where it asks for that.")] = None,
    to: Annotated[str | None, typer.Option(help="The department to delegate to.")] = None,
    by: Annotated[str | None, typer.Option(help="Who says it.")] = None,
    department: Annotated[str | None, typer.Option(help="Whose order it is; found in the journals by default.")] = None,
    namespace: NamespaceOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Answer an order."""
    with _opened(_whose(assignment, department, namespace)) as own:
        found = _matching(own, assignment)
        if found is None:
            await _catch_up(own)
            found = _matching(own, assignment)
        if found is None:
            fail(f"{own.name} has no order {assignment} in the {own.namespace} namespace")
        try:
            said = found.answer(
                Answer(answer.value), note=note, reason=reason, read_back=read_back, delegate_to=to, by=by
            )
        except ValueError as error:
            fail(str(error), 2)
        sent = await _catch_up(own)
        if as_json:
            document = {"said": said, "sent": sent, "answer": answer.value, "order": _document(found)}
            print_json(document)
        else:
            if found.is_exercise:
                console.print(_banner())
            before = "" if said else " (said before)"
            console.print(f"{own.name}: {answer.value}{before}; the order is {found.state.value}", markup=False)
        if not sent:
            fail("the answer is kept in the journal and not sent yet; `muster department listen` goes on trying")


def _department(name: str, namespace: Namespace | None, journal: Path | None) -> Department:
    configured = settings(namespace=namespace)
    if not fullmatch(DEPARTMENT_PATTERN, name):
        fail(f"{name}: is no department's id; write lower-case words joined by hyphens", 2)
    configure_logging(form="console" if sys.stderr.isatty() else configured.log_format, level="warning")
    return Department(
        name,
        namespace=configured.namespace,
        kafka=configured.brokers(),
        pace=BRISK if configured.embedded_broker else STEADY,
        journal=journal or JOURNALS / f"{name}{_ENDING[configured.namespace]}",
        clock=configured.clock(),
        stop_within=STOP_WITHIN,
    )


def _whose(assignment: str, name: str | None, namespace: Namespace | None) -> Department:
    if name is not None:
        return _department(name, namespace, None)
    for world in [namespace] if namespace else Namespace:
        for path in sorted(JOURNALS.glob(f"*{_ENDING[world]}")):
            stem = path.name.removesuffix(_ENDING[world])
            if not fullmatch(DEPARTMENT_PATTERN, stem):
                continue  # police.exercise, seen with the shorter ending
            department = _department(stem, world, None)
            if _matching(department, assignment) is not None:
                return department
            department.close()
    return fail(f"no journal under {JOURNALS} knows an order {assignment}; say whose it is with --department")


def _matching(department: Department, text: str) -> Order | None:
    try:
        return department.order(UUID(text))
    except ValueError:
        found = [order for order in department.orders() if str(order.id).endswith(text.lower())]
    if len(found) > 1:
        fail(f"{text}: {len(found)} orders of {department.name} end so; write more of the id", 2)
    return found[0] if found else None


@contextmanager
def _opened(department: Department) -> Iterator[Department]:
    try:
        yield department
    finally:
        department.close()


async def _catch_up(department: Department) -> bool:
    try:
        return await department.catch_up()
    except UnreachableError as error:
        aside.print(f"muster: {error}", style="yellow", soft_wrap=True, markup=False)
        return False
    except MusterError as error:
        fail(str(error))


def _document(order: Order) -> dict[str, Any]:
    facts = order.assignment.model_dump(mode="json", exclude_none=True)
    own = {"state": order.state.value, "is_open": order.is_open, "is_copy": order.is_copy}
    return facts | own | {"is_exercise": order.is_exercise}


def _print_line(order: Order) -> None:
    sys.stdout.write(to_json(_document(order)).decode() + "\n")
    sys.stdout.flush()


def _print_order(order: Order) -> None:
    if order.is_exercise:
        console.print(_banner(order.status.value))
    kind = f"COPY for {order.department}" if order.is_copy else order.notice.value.upper()
    console.print(Line(f"{kind}: {_both(order.title)}", style="bold"))
    incident = order.incident
    facts = {
        "id": order.id,
        "incident": f"{incident.headline or incident.event or order.incident_id} ({incident.severity.value})",
        "where": ", ".join(incident.areas),
        "done when": _both(order.done_when),
        "how": _both(order.instructions) if order.instructions else None,
        "answer by": order.deadlines.acknowledge_by,
        "start by": order.deadlines.start_by,
        "complete by": order.deadlines.complete_by,
        "read back": "repeat the order in your own words" if order.read_back else None,
        "reason": order.reason,
        "state": order.state.value,
    }
    for fact, value in facts.items():
        if value:
            console.print(Line(f"  {fact:<12}{value}"))


def _banner(status: str = "Exercise") -> Line:
    return Line(f" {' * '.join([status.upper()] * 3)} ", style="bold black on yellow")


def _both(text: Text) -> str:
    return f"{text.en} · {text.zh}"
