"""Secrets come from the environment, or from a file that it names: where containers and their keepers put them."""

from pathlib import Path

from pydantic import SecretStr

from services.platform.errors import ConfigurationError


def secret_from(setting: str, given: SecretStr | None, file: Path | None) -> SecretStr | None:
    """Give the secret of a setting, ``setting`` itself or its ``_FILE``; None where neither is there.

    Raises `ConfigurationError` for both at once and for a file that can't be read.
    """
    if file is None:
        return given
    if given is not None:
        raise ConfigurationError(f"{setting}_FILE: {setting} is given too; leave one out")
    try:
        return SecretStr(file.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise ConfigurationError(f"{setting}_FILE: {file}: {reason}") from None
