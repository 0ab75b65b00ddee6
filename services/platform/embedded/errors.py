"""What goes wrong with an embedded server."""


class EmbeddedError(RuntimeError):
    """An embedded server can't do what was asked; the message is one line: what, where, what to do."""
