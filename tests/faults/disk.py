"""A disk of a few megabytes that can be filled: a tmpfs in a mount namespace of the harness's own."""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CLONE_NEWNS = 0x0002_0000
_MS_REC_PRIVATE = 0x4000 | 0x4_0000
_MNT_DETACH = 2
_BLOCK = 1024 * 1024


class Disk:
    """A small disk over a folder. It goes with the processes of the harness, however they end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def mount(self, megabytes: int) -> str | None:
        """Mount it; returns why that can't be done here (it takes root's rights), or None."""
        libc = ctypes.CDLL(None, use_errno=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        folder, size = os.fsencode(self.folder), f"size={megabytes}m".encode()
        steps: tuple[Callable[[], Any], ...] = (
            lambda: libc.unshare(_CLONE_NEWNS),
            lambda: libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None),
            lambda: libc.mount(b"tmpfs", folder, b"tmpfs", ctypes.c_ulong(0), size),
        )
        for step in steps:
            if step() != 0:
                return os.strerror(ctypes.get_errno())
        return None

    def unmount(self) -> None:
        """Take it away, with what is on it."""
        ctypes.CDLL(None).umount2(os.fsencode(self.folder), _MNT_DETACH)

    def fill(self) -> None:
        """Leave no byte free."""
        with self._filler.open("ab", buffering=0) as file:
            size = _BLOCK
            while size:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    size //= 2

    def free(self) -> None:
        """Take the filling out again."""
        self._filler.unlink(missing_ok=True)
