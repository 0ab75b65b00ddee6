"""``muster plan``: check, publish, list, explain and compare emergency plans."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import to_jsonable_python
from rich.panel import Panel

from schemas.incident import IncidentReport
from services.cli.output import JsonFlag, console, fail, print_json, print_table, run
from services.cli.reports import read_report
from services.cli.servers import settings
from services.cli.simulate import simulate
from services.domain.directory import Directory
from services.domain.matching import Answers, PlanIndex
from services.domain.plan import Plan
from services.domain.playbook import Playbook
from services.platform.postgres import connect
from services.platform.published import publish as put_into_force
from services.platform.published import published_departments
from services.platform.topics import create_topics
from services.playbooks.check import check as check_files
from services.playbooks.diff import diff as compare
from services.playbooks.directory import compile_directory, parse_directory
from services.playbooks.explain import Explanation
from services.playbooks.explain import explain as explain_report
from services.playbooks.plans import load_plans, parse_plan
from services.playbooks.problem import Gravity, PlaybookError, Problem
from services.playbooks.stored import read_wordings
from services.playbooks.yaml_source import read_text

app = typer.Typer(no_args_is_help=True)
app.command()(simulate)

Folder = Annotated[Path, typer.Option("--playbooks", help="The folder with plans/ and departments.yaml.")]
PLAYBOOKS = Path("playbooks")


@app.command()
def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files or folders; all of playbooks/ by default.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check plans and the directory; exits with 1 when something must be mended."""
    problems = check_files(paths or [PLAYBOOKS])
    errors = [problem for problem in problems if problem.severity is Gravity.ERROR]
    if as_json:
        print_json({"errors": len(errors), "problems": to_jsonable_python(problems)})
    else:
        for problem in problems:
            console.print(str(problem), style="red" if problem in errors else "yellow", soft_wrap=True, markup=False)
        if not problems:
            console.print("Everything lints clean.", style="green")
    if errors:
        raise typer.Exit(1)


@app.command()
@run
async def publish(playbooks: Folder = PLAYBOOKS, as_json: JsonFlag = False) -> None:
    """Put the checked plans and the directory into force; what doesn't lint isn't published."""
    configured = settings()
    pool = await connect(configured.postgres(), size=2)
    try:
        wordings = read_wordings(playbooks)
        changed = await put_into_force(pool, wordings.plans, wordings.directory)
        departments = await published_departments(pool)
        for world in configured.worlds:
            await create_topics(configured.brokers(world), world, departments, replication=configured.replication)
    except PlaybookError as error:
        fail(_first(error.problems))
    finally:
        await pool.close()
    if as_json:
        print_json({"changed": changed, "plans": len(wordings.plans)})
    else:
        console.print("The plans are in force." if changed else "The same plans were in force already.")


@app.command(name="list")
def list_plans(playbooks: Folder = PLAYBOOKS, as_json: JsonFlag = False) -> None:
    """List the plans of a folder."""
    plans = load_folder(playbooks)[0]
    if as_json:
        print_json([_row(plan) for plan in plans])
        return
    columns = ("plan", "version", "kind", "mode", "title", "标题", "tasks", "owner", "review by")
    print_table("Plans", columns, [_row(plan).values() for plan in plans])


def _row(plan: Plan) -> dict[str, object]:
    return {
        "plan": plan.id,
        "version": plan.version,
        "kind": plan.kind.value,
        "mode": plan.mode.value,
        "title_en": plan.title.en,
        "title_zh": plan.title.zh,
        "tasks": len(plan.tasks),
        "owner": plan.owner,
        "review_by": plan.review_by.isoformat(),
    }


def load_folder(playbooks: Path) -> tuple[list[Plan], Directory]:
    """Load a folder's plans and directory, or end with the first problem in one line."""
    try:
        file = playbooks / "departments.yaml"
        document, source = parse_directory(read_text(file), str(file))
        return load_plans(playbooks / "plans"), compile_directory(document, source)
    except PlaybookError as error:
        fail(_first(error.problems))


def _first(problems: "tuple[Problem, ...] | list[Problem]") -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"


@app.command()
def explain(
    incident: Annotated[Path, typer.Option("--incident", help="A CAP file or a report as JSON.")],
    playbooks: Folder = PLAYBOOKS,
    as_json: JsonFlag = False,
) -> None:
    """Say which plans would answer a report and why, at which level, and who would be told what by when."""
    plans, directory = load_folder(playbooks)
    now = datetime.now(UTC)
    report = read_report(incident, now)
    playbook = Playbook(PlanIndex(plans), {plan.digest: plan for plan in plans}, directory)
    explanations = explain_report(report, playbook, now)
    if as_json:
        print_json({"incident": report, "plans": to_jsonable_python(explanations)})
        return
    _print_report(report)
    for explanation in explanations:
        _print_explanation(explanation)


def _print_report(report: IncidentReport) -> None:
    said = f"{report.event or 'no event named'}: {report.severity}, {report.urgency}, {report.certainty}"
    console.print(Panel(report.headline or said, title=said, subtitle=f"status {report.status}"), markup=False)


def _print_explanation(explanation: Explanation) -> None:
    reasons = "; ".join(explanation.reasons)
    title = f"{explanation.title_en} · {explanation.title_zh}"
    if explanation.state is None:
        word = "may answer" if explanation.answers is Answers.UNSURE else "does not answer"
        console.print(f"✗ {explanation.plan} {word}: {reasons}", style="dim", markup=False, soft_wrap=True)
        return
    why = f"called by {explanation.called_by}" if explanation.called_by else reasons
    console.print(f"\n✓ {explanation.plan} ({title}) answers: {why}", style="green", markup=False, soft_wrap=True)
    console.print(f"  state {explanation.state}; {explanation.level_reason}", markup=False, soft_wrap=True)
    print_table(
        f"  Orders at level {explanation.level}",
        ("department", "task", "title", "answer", "start", "complete", "goes out", "then"),
        [
            (
                told.department,
                told.task,
                f"{told.title_en}\n{told.title_zh}",
                told.answer_within,
                told.start_within,
                told.complete_within,
                f"after {', '.join(told.after)}" if told.after else "at once",
                ", ".join(told.then) or None,
            )
            for told in explanation.told
        ],
    )


@app.command(name="diff")
def diff_plans(a: Path, b: Path, as_json: JsonFlag = False) -> None:
    """Compare two wordings of a plan, in a planner's words; exits with 1 when they differ."""
    try:
        before, after = (parse_plan(read_text(path), str(path))[0] for path in (a, b))
    except PlaybookError as error:
        fail(_first(error.problems))
    changes = compare(before, after)
    if as_json:
        print_json(to_jsonable_python(changes))
    else:
        for change in changes:
            console.print(str(change), markup=False, soft_wrap=True)
        if not changes:
            console.print("The two say the same.")
    if changes:
        raise typer.Exit(1)
