"""A small seeded part of `python -m tests.fuzz`, so that what it holds is held by every run of the tests."""

import warnings

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.harness import Tally
from tests.fuzz.registry import NAMES, entry_named

EXAMPLES = 60
"""Inputs of the entry's own shape, beside its seeds: some 2,000 in all."""
SLOW = {"http"}
"""What needs a database and all sites, and is asked for some hundred routes."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long if name in SLOW else ()) for name in NAMES])
def test_no_input_of_the_slice_crashes_hangs_or_is_refused_without_a_reason(name: str) -> None:
    entry = entry_named(name)
    with entry.opened() as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tally = Tally(target)
        for data in entry.seeds():
            tally(data)

        @settings(
            max_examples=EXAMPLES,
            database=None,
            phases=[Phase.generate],
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @seed(1)
        @given(entry.shaped())
        def give(data: bytes) -> None:
            tally(data)

        give()
    assert tally.crashes == {}
    assert tally.accepted, "what is valid is taken"
    assert tally.refused, "what isn't is refused"
    assert tally.inputs == tally.accepted + tally.refused, "every input is accounted for"
