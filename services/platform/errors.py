"""The one tree of what can go wrong outside the engine; every message says what, where, and what to do."""


class MusterError(Exception):
    """Anything Muster can explain in one line; the command line prints it and exits with 1."""


class ConfigurationError(MusterError):
    """A setting is missing or can't be used."""


class UnreachableError(MusterError):
    """The broker or the database can't be reached."""


class MigrationError(MusterError):
    """The database's migrations and the ones shipped here differ."""


class UnpublishedError(MusterError):
    """No plans have been published into the database yet."""


class RefusedError(MusterError):
    """A request that was understood and turned down."""
