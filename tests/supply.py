"""What Muster is made of, and whether any of it is known to be bad: ``make sbom`` and ``make audit``.

An audit asks a service on the internet, so that its answer changes without a change here: it is run by people and by
a calendar, not by the checks that a change must pass. It never says "clean" when it could not ask.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
WEB = ROOT / "services" / "console" / "web"
BIN = Path(sys.executable).parent
EXPLAINED = ROOT / "docs" / "known-vulnerabilities.txt"
"""Findings that were looked at: one a line, its id and why it does no harm here."""
SBOM = ROOT / ".muster" / "sbom"
CLEAN, FOUND, NOT_ASKED = 0, 1, 3
"""Exit codes. The last: the service could not be asked, and nothing is known."""
CONTROL = "jinja2==2.11.2"
"""A package with a known vulnerability (CVE-2020-28493), which is never installed here: is the service awake?"""
_RUNTIME = ("--frozen", "--no-default-groups", "--no-emit-project", "--quiet")


@dataclass(frozen=True)
class Answer:
    """What one audit came to: findings by their id, and why it could not ask about all or some."""

    what: str
    findings: Mapping[str, str]
    not_asked: str | None = None


def explained(text: str) -> dict[str, str]:
    """Read the file of findings that were looked at; raises ValueError for one without a reason."""
    found = {}
    for line in (line.strip() for line in text.splitlines()):
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            if not reason.strip():
                raise ValueError(f"{EXPLAINED.name}: {name}: say why it does no harm here")
            found[name] = reason.strip()
    return found


def read_pip_audit(code: int, out: str, err: str) -> Answer:
    """Read what pip-audit says: exit code 0 and 1 come with a JSON document, or with an error and none."""
    what = "Python packages (pip-audit)"
    try:
        packages = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Answer(what, {}, _last(err) or f"exit code {code}")
    findings = {}
    for package in packages:
        for found in package.get("vulns", ()):
            mended = ", ".join(found["fix_versions"]) or "nothing yet"
            findings[found["id"]] = f"{package['name']} {package['version']}, mended in {mended}"
    # A package that the service doesn't know is not clean: a mirror of an index may have none of its advisories.
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    return Answer(what, findings, f"{len(skipped)} of {len(packages)}: {skipped[0]}" if skipped else None)


def read_npm_audit(code: int, out: str, err: str) -> Answer:
    """Read what npm audit says: a report with ``vulnerabilities``, or an error."""
    what = "browser libraries (npm audit)"
    try:
        vulnerable = json.loads(out)["vulnerabilities"]
    except (ValueError, KeyError, TypeError):
        return Answer(what, {}, _first(err) or f"exit code {code}")
    findings = {}
    for name, each in vulnerable.items():
        for via in each["via"]:
            if isinstance(via, dict):
                findings[str(via["url"]).rsplit("/", 1)[-1]] = f"{name}: {via['title']}"
    return Answer(what, findings)


def judge(answers: Sequence[Answer], known: Mapping[str, str]) -> tuple[int, list[str]]:
    """Say what the answers come to: an exit code, and lines for a person."""
    lines, code = [], CLEAN
    seen: set[str] = set()
    for answer in answers:
        if answer.not_asked is not None:
            lines.append(f"{answer.what}: COULD NOT ASK: {answer.not_asked}")
            code = code or NOT_ASKED
            if not answer.findings:
                continue
        seen |= answer.findings.keys()
        new = {id_: text for id_, text in answer.findings.items() if id_ not in known}
        lines.append(f"{answer.what}: {len(answer.findings)} known, of which {len(new)} not explained")
        lines += [f"  {id_}: {text}" for id_, text in sorted(new.items())]
        code = FOUND if new else code
    if all(answer.not_asked is None for answer in answers):
        over = sorted(known.keys() - seen)
        lines += [f"  {id_}: is not found any more; take it out of {EXPLAINED.relative_to(ROOT)}" for id_ in over]
        code = code or (FOUND if over else CLEAN)
    return code, lines


def audit() -> int:
    """Ask about every locked package, and print what is known."""
    npm = _run([str(BIN / "npm"), "audit", "--json", "--package-lock-only", "--omit=dev"], cwd=WEB)
    answers = [_audit_python(), read_npm_audit(npm.returncode, npm.stdout, npm.stderr)]
    code, lines = judge(answers, explained(EXPLAINED.read_text(encoding="utf-8")))
    print("\n".join(lines))
    return code


def _audit_python() -> Answer:
    """Ask whether a package is bad that is known to be; only who knows that one is asked about ours."""
    with TemporaryDirectory() as folder:
        control, locked = Path(folder) / "control.txt", Path(folder) / "locked.txt"
        control.write_text(f"{CONTROL}\n")
        locked.write_text(_run([str(BIN / "uv"), "export", *_RUNTIME]).stdout)
        known = _pip_audit(control, "--no-deps")
        if known.not_asked is not None or not known.findings:
            why = known.not_asked or f"the service knows nothing bad of {CONTROL}, so that its silence says nothing"
            return replace(known, findings={}, not_asked=why)
        return _pip_audit(locked, "--require-hashes")


def _pip_audit(requirements: Path, *options: str) -> Answer:
    command = [str(BIN / "uv"), "run", "--frozen", "--only-group", "audit", "pip-audit", "--disable-pip"]
    command += ["--requirement", str(requirements), "--format", "json", "--progress-spinner", "off", *options]
    # An environment of its own: what audits is not audited with the rest.
    made = _run(command, {"UV_PROJECT_ENVIRONMENT": str(ROOT / ".venv-audit")})
    return read_pip_audit(made.returncode, made.stdout, made.stderr)


def sbom(folder: Path = SBOM) -> int:
    """Write the bills of materials, CycloneDX 1.5: what a service runs on, and what it gives to a browser."""
    folder.mkdir(parents=True, exist_ok=True)
    commands = {
        "muster-python.cdx.json": ([str(BIN / "uv"), "export", *_RUNTIME, "--format", "cyclonedx1.5"], ROOT),
        "muster-browser.cdx.json": (
            [str(BIN / "npm"), "sbom", "--sbom-format", "cyclonedx", "--package-lock-only", "--omit=dev"],
            WEB,
        ),
    }
    for name, (command, cwd) in commands.items():
        made = _run(command, cwd=cwd)
        if made.returncode:
            print(f"{name}: {made.stderr.strip()}", file=sys.stderr)
            return made.returncode
        (folder / name).write_text(made.stdout, encoding="utf-8")
        print(f"{folder / name}: {len(json.loads(made.stdout)['components'])} components")
    return 0


def _run(
    command: Sequence[str], environment: Mapping[str, str] = {}, cwd: Path = ROOT
) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    given = {**os.environ, "PATH": path, **environment}
    return subprocess.run(command, cwd=cwd, env=given, capture_output=True, text=True, check=False)


def _first(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip() and "Unknown user config" not in line), "")


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


if __name__ == "__main__":
    sys.exit({"audit": audit, "sbom": sbom}[sys.argv[1]]())
