"""TCP ports on loopback."""

import contextlib
import socket

from services.platform.embedded.errors import EmbeddedError


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports that are free on 127.0.0.1 at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def require_free(*ports: int) -> None:
    """Raise `EmbeddedError` when something listens on one of `ports`.

    Checked before a start: a client would otherwise take the stranger who has the port for our server.
    """
    for port in ports:
        with socket.socket() as probe:
            # Like a server's own socket: connections that are only winding down don't count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError) as error:
                raise EmbeddedError(f"port {port} of 127.0.0.1 can't be used ({error}): choose another") from None
