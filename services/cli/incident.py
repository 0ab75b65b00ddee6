"""``muster incident``: report, look at, and steer incidents, over the HTTP API of a running Muster."""

import getpass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import httpx
import typer

from schemas.vocabulary import Category, Certainty, MessageType, Namespace, Severity, Status, Urgency
from services.cli.output import JsonFlag, console, fail, print_json, print_table
from services.cli.reports import read_bytes
from services.cli.servers import credentials, http_url

app = typer.Typer(no_args_is_help=True)

UrlOption = Annotated[str | None, typer.Option("--url", help="Where intake listens; by default the running one.")]
Reason = Annotated[str, typer.Option(help="Why; kept on the record.")]
By = Annotated[str | None, typer.Option(help="Who reports; your user name by default.")]
Known = Annotated[UUID, typer.Argument(help="The incident's id.")]
TIMEOUT = 30.0
NamespaceOption = Annotated[Namespace, typer.Option(help="The world the incident belongs to.")]
Where = tuple[str | None, Namespace]


def request(method: str, path: str, where: Where, **given: Any) -> Any:
    """Ask the API; a problem document (RFC 9457) becomes one line and exit code 1."""
    base = http_url(*where)
    try:
        answer = httpx.request(
            method, f"{base}{path}", timeout=TIMEOUT, headers=credentials(base) | given.pop("headers", {}), **given
        )
    except httpx.HTTPError as error:
        fail(f"{base}: {error or type(error).__name__}; is Muster up? start it with `make up`, or name it with --url")
    if answer.is_success:
        return answer.json()
    try:
        problem = answer.json()
    except ValueError:
        fail(f"{base}{path}: {answer.status_code} {answer.reason_phrase}")
    return fail(f"{problem.get('title', answer.reason_phrase)}: {problem.get('detail', answer.status_code)}")


@app.command()
def report(
    status: Annotated[Status | None, typer.Option(help="Actual, Exercise or Test; it has no default.")] = None,
    cap: Annotated[Path | None, typer.Option(help="A CAP alert; it names its own status.")] = None,
    file: Annotated[Path | None, typer.Option(help="A report as JSON.")] = None,
    category: Annotated[list[Category] | None, typer.Option(help="May be given more than once.")] = None,
    event: Annotated[str | None, typer.Option(help="What happens, in a word or two.")] = None,
    severity: Annotated[Severity, typer.Option()] = Severity.UNKNOWN,
    urgency: Annotated[Urgency, typer.Option()] = Urgency.UNKNOWN,
    certainty: Annotated[Certainty, typer.Option()] = Certainty.UNKNOWN,
    headline: Annotated[str | None, typer.Option()] = None,
    description: Annotated[str | None, typer.Option()] = None,
    area: Annotated[list[str] | None, typer.Option(help="Where, in words; may be given more than once.")] = None,
    incident: Annotated[UUID | None, typer.Option(help="The incident that this updates.")] = None,
    by: By = None,
    url: UrlOption = None,
    namespace: Annotated[Namespace | None, typer.Option(help="Where to send it; by --status, or actual.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same one reports once.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Report an incident, or an update of one."""
    headers = {"Idempotency-Key": f'"{key}"'} if key else {}
    if sum(given is not None for given in (cap, file, event)) != 1:
        fail("report: give exactly one of --cap, --file, or --event with --category", 2)
    where = (url, namespace or (Namespace.of(status) if status else None) or Namespace.ACTUAL)
    if cap is not None:
        headers["Content-Type"] = "application/cap+xml"
        accepted = request("POST", "/v1/cap", where, content=read_bytes(cap), headers=headers)
    elif file is not None:
        headers["Content-Type"] = "application/json"
        accepted = request("POST", "/v1/incidents", where, content=read_bytes(file), headers=headers)
    else:
        if status is None or not category:
            fail("report: --status and --category are needed with --event; a status has no default", 2)
        body = {
            "status": status,
            "message_type": MessageType.UPDATE if incident else MessageType.ALERT,
            "categories": category,
            "event": event,
            "severity": severity,
            "urgency": urgency,
            "certainty": certainty,
            "headline": headline,
            "description": description,
            "areas": [{"description": where} for where in area or []],
            "reported_by": by or getpass.getuser(),
            "incident_id": str(incident) if incident else None,
        }
        accepted = request(
            "POST", "/v1/incidents", where, json={k: v for k, v in body.items() if v is not None}, headers=headers
        )
    if as_json:
        print_json(accepted)
    else:
        again = " (it was reported before)" if accepted.get("repeated") else ""
        console.print(f"Incident {accepted['incident_id']} is taken in{again}.")


@app.command(name="list")
def list_incidents(
    url: UrlOption = None, namespace: NamespaceOption = Namespace.ACTUAL, as_json: JsonFlag = False
) -> None:
    """List incidents, newest first."""
    found = request("GET", "/v1/incidents", (url, namespace))
    if as_json:
        print_json(found)
        return
    rows = [
        (item["id"], item["status"], item["phase"], item["event"], ", ".join(item["plans"]), _day(item["reported_at"]))
        for item in found["items"]
    ]
    print_table("Incidents", ("incident", "status", "phase", "event", "plans", "reported"), rows)


def _moment(text: str | None) -> str | None:
    """Check a time that was typed; one without its offset is nobody's time."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--as-of {text}: is not a time; write it like 2026-06-01T08:05:00+02:00", 2)
    if moment.tzinfo is None:
        fail(f"--as-of {text}: has no offset; write {text}Z for UTC, or {text}+02:00", 2)
    return moment.isoformat()


@app.command()
def show(
    incident: Known,
    as_of: Annotated[str | None, typer.Option("--as-of", help="As it was known then: a time with its offset.")] = None,
    url: UrlOption = None,
    namespace: NamespaceOption = Namespace.ACTUAL,
    as_json: JsonFlag = False,
) -> None:
    """Show an incident: plans and why, orders, answers, times."""
    moment = _moment(as_of)
    params = {} if moment is None else {"as_of": moment}
    found = request("GET", f"/v1/incidents/{incident}", (url, namespace), params=params)
    if as_json:
        print_json(found)
        return
    if moment is not None:
        console.print(f"As it was known at {moment}")
    said = found["report"]
    console.print(
        f"[bold]{said.get('event') or 'no event named'}[/] · {found['status']} · {found['phase']} · {found['id']}"
    )
    if said.get("headline"):
        console.print(said["headline"], markup=False)
    matched = {
        entry["activation_id"]: entry["reason"] for entry in found["timeline"] if entry["entry"] == "plan_matched"
    }
    rows = [
        (a["plan"], a["version"], a["state"], a["level"], matched.get(a["id"]), _day(a["activated_at"]))
        for a in found["activations"]
    ]
    print_table("Plans", ("plan", "version", "state", "level", "why", "activated"), rows)
    times = ("issued_at", "delivered_at", "committed_at", "started_at", "completed_at")
    rows_of_orders = [
        (a["task"], a["department"], a["state"], *(_clock(a[name]) for name in times), _clock(a["acknowledge_by"]))
        for a in found["assignments"]
    ]
    columns = ("task", "department", "state", "issued", "delivered", "committed", "started", "completed", "answer by")
    print_table("Assignments (UTC)", columns, rows_of_orders)
    print_table(
        "Timeline (UTC)",
        ("recorded", "what", "who", "task", "why"),
        [
            (_clock(e["recorded_at"]), e["entry"], e["department"] or e["by"], e["detail"].get("task"), e["reason"])
            for e in found["timeline"]
        ],
    )


def _day(moment: str | None) -> str | None:
    return moment[:19].replace("T", " ") if moment else None


def _clock(moment: str | None) -> str | None:
    return moment[11:19] if moment else None


def _command(incident: UUID, url: str | None, as_json: bool, **fields: Any) -> None:
    body = {name: value for name, value in fields.items() if value is not None}
    namespace = Namespace.of(fields["status"]) or Namespace.ACTUAL
    accepted = request("POST", f"/v1/incidents/{incident}/commands", (url, namespace), json=body)
    if as_json:
        print_json(accepted)
    else:
        console.print("Taken in; `muster incident show` tells what came of it.")


@app.command()
def activate(
    incident: Known,
    plan: Annotated[str, typer.Option(help="The plan's id.")],
    reason: Reason,
    status: Annotated[Status, typer.Option(help="The incident's own status.")],
    level: Annotated[str | None, typer.Option(help="By default the one its conditions choose.")] = None,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Put a plan into force, or confirm one that waits for it."""
    _command(incident, url, as_json, action="activate", plan=plan, level=level, reason=reason, status=status)


@app.command()
def level(
    incident: Known,
    level: Annotated[str, typer.Argument(help="The new level.")],
    reason: Reason,
    status: Annotated[Status, typer.Option(help="The incident's own status.")],
    plan: Annotated[str | None, typer.Option(help="Needed when several plans are in force.")] = None,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change the level of a plan in force."""
    _command(incident, url, as_json, action="change_level", level=level, plan=plan, reason=reason, status=status)


@app.command()
def task(
    incident: Known,
    title: Annotated[str, typer.Argument(help="What is to be done.")],
    to: Annotated[list[str], typer.Option(help="A department; may be given more than once.")],
    done_when: Annotated[str, typer.Option(help="What counts as done.")],
    reason: Reason,
    status: Annotated[Status, typer.Option(help="The incident's own status.")],
    plan: Annotated[str | None, typer.Option(help="Needed when several plans are in force.")] = None,
    instructions: Annotated[str | None, typer.Option(help="How to do it.")] = None,
    acknowledge: Annotated[str | None, typer.Option(help="How long they may take to answer: 5m by default.")] = None,
    start: Annotated[str | None, typer.Option(help="How long until they start, like 15m.")] = None,
    complete: Annotated[str | None, typer.Option(help="How long until it is done, like 1h30m.")] = None,
    read_back: Annotated[bool, typer.Option("--read-back", help="They must repeat it in their own words.")] = False,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Give departments a task that is not in the plan."""
    fields = {
        "departments": to,
        "title": title,
        "done_when": done_when,
        "plan": plan,
        "instructions": instructions,
        "acknowledge": acknowledge,
        "start": start,
        "complete": complete,
        "read_back": read_back,
    }
    _command(incident, url, as_json, action="add_task", reason=reason, status=status, **fields)


@app.command()
def inform(
    incident: Known,
    text: Annotated[str, typer.Argument(help="What they are told.")],
    status: Annotated[Status, typer.Option(help="The incident's own status.")],
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell every department that has an open order something."""
    _command(incident, url, as_json, action="inform", reason=text, status=status)


@app.command(name="stand-down")
def stand_down(
    incident: Known,
    reason: Reason,
    status: Annotated[Status, typer.Option(help="The incident's own status.")],
    plan: Annotated[str | None, typer.Option(help="Only this plan; all of them by default.")] = None,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """End a plan's activation; its stand-down tasks go out."""
    _command(incident, url, as_json, action="stand_down", plan=plan, reason=reason, status=status)


@app.command()
def close(
    incident: Known,
    reason: Reason,
    status: Annotated[Status, typer.Option(help="The incident's own status.")],
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Stand down and close; a second time calls off the stand-down tasks too."""
    _command(incident, url, as_json, action="close", reason=reason, status=status)
