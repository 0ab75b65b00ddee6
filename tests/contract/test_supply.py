"""What Muster is made of is locked with hashes and listed, and an audit that could not ask never says clean."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests import supply
from tests.supply import CLEAN, EXPLAINED, FOUND, NOT_ASKED, ROOT, Answer, explained, judge

PIP = {"name": "jinja2", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
NPM = {
    "vulnerabilities": {"uplot": {"via": [{"url": "https://github.com/advisories/GHSA-1", "title": "bad"}, "other"]}}
}


def test_every_locked_package_has_its_hashes() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    for package in lock["package"]:
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
        assert "editable" in package["source"] or files, package["name"]
        assert all(file["hash"].startswith("sha256:") for file in files), package["name"]
    browser = json.loads((ROOT / "services/console/web/package-lock.json").read_text(encoding="utf-8"))
    assert all(each["integrity"].startswith("sha512-") for name, each in browser["packages"].items() if name)


def test_the_bills_of_materials_name_all_that_runs(tmp_path: Path) -> None:
    assert supply.sbom(tmp_path) == 0
    python = json.loads((tmp_path / "muster-python.cdx.json").read_text(encoding="utf-8"))
    assert (python["bomFormat"], python["specVersion"]) == ("CycloneDX", "1.5")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {dependency.split("[")[0].split(">")[0].split("=")[0] for dependency in project["dependencies"]}
    listed = {each["name"]: each for each in python["components"]}
    assert wanted <= listed.keys()
    assert listed.keys().isdisjoint({"pytest", "mypy", "pip-audit"}), "what only develops Muster is not in it"
    for each in listed.values():
        assert each["purl"].startswith("pkg:pypi/")
        assert any(reference.get("hashes") for reference in each["externalReferences"]), each["name"]
    browser = json.loads((tmp_path / "muster-browser.cdx.json").read_text(encoding="utf-8"))
    assert {each["name"] for each in browser["components"]} >= {"htmx.org", "uplot"}


def test_a_finding_fails_the_audit_until_somebody_says_why_it_does_no_harm() -> None:
    python = supply.read_pip_audit(
        1, json.dumps({"dependencies": [PIP, {"name": "x", "version": "1", "vulns": []}]}), ""
    )
    npm = supply.read_npm_audit(1, json.dumps(NPM), "")
    code, lines = judge([python, npm], {})
    assert code == FOUND
    assert "  PYSEC-1: jinja2 2.0, mended in 2.1" in lines
    assert "  GHSA-1: uplot: bad" in lines
    known = explained("# why\nPYSEC-1 no templates of strangers\nGHSA-1 drawn from numbers only\n")
    assert judge([python, npm], known)[0] == CLEAN
    assert judge([python, npm], known | {"PYSEC-0": "gone"})[0] == FOUND, "what is over is taken out"
    with pytest.raises(ValueError, match="say why"):
        explained("PYSEC-1")


@pytest.mark.parametrize(
    "python",
    [
        supply.read_pip_audit(1, "", "Traceback\nConnectionError: Could not connect to PyPI's vulnerability feed"),
        supply.read_pip_audit(0, json.dumps({"dependencies": [{"name": "x", "skip_reason": "not found on PyPI"}]}), ""),
        Answer("Python", {}, "the service knows nothing bad"),
    ],
    ids=["no connection", "a mirror without advisories", "a service that is asleep"],
)
def test_an_audit_that_could_not_ask_says_so(python: Answer) -> None:
    clean = supply.read_npm_audit(0, json.dumps({"vulnerabilities": {}}), "")
    code, lines = judge([python, clean], {"PYSEC-1": "not taken for gone while nobody was asked"})
    assert code == NOT_ASKED
    assert "COULD NOT ASK" in lines[0]
    away = supply.read_npm_audit(1, json.dumps({"message": "405"}), "npm warn Unknown user config\nnpm warn audit 405")
    assert away.not_asked == "npm warn audit 405"


def test_what_was_explained_can_be_read() -> None:
    explained(EXPLAINED.read_text(encoding="utf-8"))


def test_the_threat_model_names_tests_that_are_there() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]\w*/test_\w+\.py)`", text))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).exists()] == []
