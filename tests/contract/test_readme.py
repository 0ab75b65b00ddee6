"""What the READMEs say can be done as they say it, in both languages."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from typer.testing import CliRunner

from schemas.vocabulary import Namespace
from services.cli.main import make_app
from services.cli.processes import SERVICES as SERVED
from services.departments import Department
from services.departments.memory import MemoryTransport
from tests.commands import parse
from tests.services.test_departments_world import MemoryWorld, give, order, running, until, words

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")
SVG = "{http://www.w3.org/2000/svg}"
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
INCIDENT = "0192a3b4-c5d6-7e8f-9012-3456789abcde"


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def fences(name: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text(name), re.MULTILINE | re.DOTALL)


def commands(name: str) -> Iterator[list[str]]:
    """Give every command of a README's shell blocks as its words, without assignments before it."""
    for block in fences(name, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            said = shlex.split(re.sub(r"\$[A-Z]+", INCIDENT, line), comments=True)
            while said and re.match(r"[A-Z_]+=", said[0]):
                said = said[1:]
            if said:
                yield said


def check(said: list[str]) -> None:
    """Hold one command against what there is."""
    match said:
        case ["muster", *arguments]:
            parse(arguments)
            assert arguments[0] != "serve" or arguments[1] in SERVED
        case ["make", target, *variables]:
            assert target in TARGETS
            assert all(re.match(r"[A-Z]+=", variable) for variable in variables)
        case ["docker", "compose", "exec", service, "muster", *arguments]:
            assert service in SERVICES
            parse(arguments)
        case ["docker", "compose", "up" | "down", *options]:
            assert set(options) <= {"--build", "--wait"}
        case ["curl", "-s", url]:
            assert re.fullmatch(r"http://127\.0\.0\.1:8080/(health/live|health/ready|metrics)", url)
        case _:
            assert said[0] in {"export", "."}, f"nobody vouches for {said}"


@pytest.mark.parametrize("name", READMES)
def test_every_command_is_one_that_can_be_given(name: str) -> None:
    found = list(commands(name))
    assert ["make", "drill"] in found[:2]
    assert ["make", "test"] in found[:2]
    for said in found:
        check(said)


@pytest.mark.parametrize("said", [["muster", "serve"], ["muster", "sing"], ["make", "tea"], ["curl", "-s", "http://x"]])
def test_a_command_that_can_not_be_given_is_found(said: list[str]) -> None:
    with pytest.raises(Exception, match=r"(?i)missing|no such|assert"):
        check(said)


def test_both_languages_show_the_same_commands_and_code() -> None:
    english, chinese = READMES
    assert list(commands(english)) == list(commands(chinese))
    for language in ("python", "yaml"):
        assert fences(english, language) == fences(chinese, language)
    assert text(english).count("\n## ") == text(chinese).count("\n## ")


@pytest.mark.parametrize("name", [*READMES, "CHANGELOG.md", "playbooks/README.md"])
def test_every_link_into_the_repository_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", text(name)):
        if "://" not in target:
            assert (ROOT / name).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("name", READMES)
def test_mentioned_inline_commands_exist(name: str) -> None:
    for said in re.findall(r"`(make [a-z-]+|muster [a-z-]+(?: --?[a-z-]+)?)`", text(name)):
        program, *arguments = said.split()
        if program == "make":
            assert arguments[0] in TARGETS
        else:
            assert CliRunner().invoke(make_app(), [*arguments, "--help"]).exit_code == 0, said


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.svg")), ids=lambda path: path.name)
def test_a_picture_suits_light_and_dark_pages_and_can_be_read_aloud(path: Path) -> None:
    root = ET.parse(path).getroot()  # noqa: S314 - the repository's own
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title")
    assert root.findtext(f"{SVG}desc")
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")


async def test_the_departments_snippet_answers_an_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of the README, as it stands, on the fake broker."""
    world = MemoryWorld()

    def memory(_kafka: str, namespace: Namespace, name: str, *_: object) -> MemoryTransport:
        assert namespace is Namespace.EXERCISE
        transport = world.transport(name)
        assert isinstance(transport, MemoryTransport)
        return transport

    monkeypatch.setattr("services.departments.client.KafkaTransport", memory)
    monkeypatch.chdir(tmp_path)
    [code] = fences("README.md", "python")
    found: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(code, "README.md", "exec"), found)  # noqa: S102 - the README's own code
    department = found["department"]
    assert isinstance(department, Department)

    async def answered() -> bool:
        return await words(world, department.name) == ["deliver", "commit", "start", "complete"]

    async with running(department):
        await give(world, order(department.name))
        await until(answered)
