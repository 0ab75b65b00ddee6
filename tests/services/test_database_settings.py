"""How settings become the database's address: what goes together, and what is refused in one line."""

from pathlib import Path
from typing import Any

import pytest

from schemas.vocabulary import Namespace
from services.platform.errors import ConfigurationError
from services.platform.settings import Settings

PASSWORD = "p@ss/word:1"  # noqa: S105 - a test's own


def configured(**given: Any) -> Settings:
    return Settings(_env_file=None, **given)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for world in Namespace:
        (tmp_path / world).write_text(f"{PASSWORD}{world}\n")
    return tmp_path


def test_a_plain_address_stays_as_it_is() -> None:
    for address in ("postgresql://a:b@h:1/d?sslmode=require", "postgresql://h/d", "postgresql://a@[::1]:5/d"):
        assert configured(database=address).postgres() == address


def test_each_world_has_its_user_and_its_password_from_a_file(folder: Path) -> None:
    made = configured(
        database="postgresql://muster_{namespace}_console@db:5432/muster",
        database_password_file=folder / "{namespace}",
        database_ca="/etc/muster/{namespace}.pem",
    )
    assert made.postgres(Namespace.EXERCISE) == (
        "postgresql://muster_exercise_console:p%40ss%2Fword%3A1exercise@db:5432/muster"
        "?sslmode=verify-full&sslrootcert=%2Fetc%2Fmuster%2Fexercise.pem"
    )
    assert made.postgres().startswith("postgresql://muster_actual_console:p%40ss%2Fword%3A1actual@")
    assert PASSWORD not in f"{made!r}"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"database": "postgresql://a:b@h/d", "database_password_file": "actual"}, "has a password too; leave one out"),
        ({"database": "postgresql://h/d", "database_password_file": "actual"}, "must name the user whose password"),
        ({"database_password_file": "none"}, "MUSTER_DATABASE_PASSWORD_FILE: .*none: No such file"),
        ({"database": "postgresql://a@h/d?sslmode=require", "database_ca": "ca"}, "goes with sslmode=verify-full only"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(given: dict[str, str], complaint: str, folder: Path) -> None:
    placed = {name: folder / value if name.endswith("file") else value for name, value in given.items()}
    with pytest.raises(ConfigurationError, match=complaint) as told:
        configured(**placed).postgres()
    assert "\n" not in str(told.value)
    assert PASSWORD not in str(told.value)
