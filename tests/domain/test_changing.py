"""The quick copies of values are what the constructors would have given."""

import dataclasses

from services.domain.changing import make, replace
from services.domain.incident import Obstacle
from tests.domain.builders import MINUTE, START, make_id

OBSTACLE = Obstacle(make_id(1), make_id(2), "fire", "Road flooded", "emergency-management", START)


def test_a_changed_copy_is_the_one_dataclasses_would_make() -> None:
    taken = replace(OBSTACLE, taken_at=START + MINUTE)
    assert taken == dataclasses.replace(OBSTACLE, taken_at=START + MINUTE)
    assert OBSTACLE.taken_at is None


def test_a_value_made_of_its_fields_is_the_one_its_constructor_would_make() -> None:
    fields = {field.name: getattr(OBSTACLE, field.name) for field in dataclasses.fields(Obstacle)}
    made = make(Obstacle, fields)
    assert made == OBSTACLE
    assert hash(made) == hash(OBSTACLE)
    assert repr(made) == repr(OBSTACLE)
