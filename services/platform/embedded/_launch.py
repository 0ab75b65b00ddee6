"""Stand between the supervisor and a server: drop privileges, tie the server to its parent, then become it.

Run as `python -I -S _launch.py PARENT_PID SIGNAL UID GID PROGRAM [ARGUMENT...]`; UID -1 keeps the account.
A separate program rather than a `preexec_fn`, because Python code after a fork can deadlock when other threads run.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Replace this process with PROGRAM; exits with 1 when the parent is already gone."""
    parent, signal_number, uid, gid = (int(each) for each in arguments[:4])
    program = arguments[4:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid: a change of account clears the parent-death signal.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before the signal was armed, so nothing would ever stop this server.
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
