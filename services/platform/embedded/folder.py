"""A data folder that belongs to one running owner at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from services.platform.embedded.errors import EmbeddedError


class FolderLock:
    """Holds a data folder for one owner; the kernel lets go when the owner dies, however it dies."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the folder, or raise `EmbeddedError` that names the process which has it."""
        if self._fd is not None:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise EmbeddedError(
                f"{self._path.parent} is in use by process {holder}: stop it or choose another data folder"
            ) from None
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd

    def release(self) -> None:
        """Let go; safe to call twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@contextlib.contextmanager
def released_on_error(lock: FolderLock) -> Iterator[None]:
    """Hold `lock` for the block and afterwards, but let go of it when the block fails."""
    lock.acquire()
    try:
        yield
    except BaseException:
        lock.release()
        raise
