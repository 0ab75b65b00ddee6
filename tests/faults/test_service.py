"""What the fault suite takes out of the services is there to be taken out."""

import subprocess
import sys

from tests.faults.mutations import MUTATIONS
from tests.faults.service import SAFEGUARDS

REPLACES = "from tests.faults.service import SAFEGUARDS\nfor take_out in SAFEGUARDS.values(): take_out()"


def test_every_safeguard_can_be_taken_out() -> None:
    """In a process of its own, which has none of them afterwards."""
    ended = subprocess.run([sys.executable, "-c", REPLACES], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_every_safeguard_is_in_the_table_of_mutations() -> None:
    assert {each.safeguard for each in MUTATIONS} == {None, *SAFEGUARDS}
