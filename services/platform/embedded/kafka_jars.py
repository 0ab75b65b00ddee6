"""The Java archives of Apache Kafka: fetched from Maven Central by pinned coordinates, checked against a list."""

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from services.platform.embedded.errors import EmbeddedError
from services.platform.embedded.process import last_words, run_to_end

REPOSITORY = Path(__file__).resolve().parents[3]
DEPLOY = REPOSITORY / "deploy" / "kafka"
CACHE = REPOSITORY / ".muster"
DIGESTS = "jars.sha256"
MIN_JAVA = 17


async def java() -> str:
    """Return the path of a Java that is new enough, from JAVA_HOME or PATH; raises `EmbeddedError`."""
    home = os.environ.get("JAVA_HOME")
    wanted = f"{home}/bin/java" if home else "java"
    found = shutil.which(wanted)
    advice = f"install a JRE of version {MIN_JAVA} or later, or set JAVA_HOME"
    if found is None:
        raise EmbeddedError(f"Apache Kafka needs Java {MIN_JAVA} and {wanted} is missing: {advice}")
    _, printed = await run_to_end([found, "-version"])
    version = re.search(r'version "(\d+)', printed)
    if version is None or int(version[1]) < MIN_JAVA:
        raise EmbeddedError(f"Apache Kafka needs Java {MIN_JAVA} and {found} is {last_words(printed)}: {advice}")
    return found


async def fetch_jars(*, deploy: Path = DEPLOY, cache: Path = CACHE) -> Path:
    """Return a folder with exactly the archives listed in `deploy/jars.sha256`.

    The first call runs Maven on `deploy/pom.xml` (some 45 MB) and keeps the result in `cache/kafka-VERSION/`; a
    changed list fetches again. Raises `EmbeddedError` when Maven is missing or fails, or when an archive is
    missing, unlisted or different: then nothing is kept. A kept folder is checked again on each call.
    """
    target = _made(cache) / f"kafka-{_version(deploy)}"
    if _is_current(target, deploy):
        verify(target, deploy / DIGESTS)  # a tenth of a second, and nobody has to trust the cache
        return target
    with (
        (target.parent / ".kafka.lock").open("w") as lock,
        tempfile.TemporaryDirectory(prefix=".kafka-", dir=target.parent) as scratch,
    ):
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)  # somebody else may be fetching them
        if _is_current(target, deploy):
            return target
        fresh = Path(scratch) / "jars"
        await _run_maven(deploy / "pom.xml", fresh)
        verify(fresh, deploy / DIGESTS)
        # The list goes in last: its presence says that the folder is complete and was verified.
        shutil.copy(deploy / DIGESTS, fresh / DIGESTS)
        _put_in_place(fresh, target, aside=Path(scratch) / "old")
    return target


def _version(deploy: Path) -> str:
    pom = deploy / "pom.xml"
    if not (deploy / DIGESTS).exists() or not pom.exists():
        raise EmbeddedError(f"{deploy} has no {DIGESTS} or pom.xml: run from a checkout of Muster")
    version = re.search(r"<kafka\.version>([^<]+)<", pom.read_text())
    if version is None:
        raise EmbeddedError(f"{pom} names no <kafka.version>: restore it")
    return version[1]


def _is_current(target: Path, deploy: Path) -> bool:
    kept = target / DIGESTS
    return kept.exists() and kept.read_text() == (deploy / DIGESTS).read_text()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()


def _put_in_place(fresh: Path, target: Path, *, aside: Path) -> None:
    if target.exists():
        target.rename(aside)
    fresh.rename(target)


def verify(folder: Path, listed: Path) -> None:
    """Raise `EmbeddedError` unless `folder` holds exactly the archives of `listed`, byte for byte."""
    expected: dict[str, str] = {}
    for line in listed.read_text().splitlines():
        digest, _, name = line.partition("  ")
        expected[name] = digest
    found = {path.name: path for path in folder.iterdir() if path.name != DIGESTS}
    advice = f"nothing was started; remove {folder} and check where Maven fetches from"
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise EmbeddedError(f"{name} is listed in {listed.name} and missing: {advice}")
        if name not in expected:
            raise EmbeddedError(f"{name} is there and not listed in {listed.name}: {advice}")
        digest = hashlib.sha256(found[name].read_bytes()).hexdigest()
        if digest != expected[name]:
            raise EmbeddedError(f"{name} has sha256 {digest}, not {expected[name]} as listed: {advice}")


async def _run_maven(pom: Path, output: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise EmbeddedError("fetching Apache Kafka needs Maven and mvn is not on PATH: install Maven 3.8 or later")
    code, printed = await run_to_end(
        [
            *(maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies"),
            *("-DincludeScope=runtime", f"-DoutputDirectory={output}"),
        ]
    )
    if code != 0:
        errors = "\n".join(line for line in printed.splitlines() if line.startswith("[ERROR]"))
        first = last_words("\n".join((errors or printed).splitlines()[:1]))
        raise EmbeddedError(f"Maven could not fetch the archives of {pom}: {first[:600]}")
