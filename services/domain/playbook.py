"""Everything the engine looks up: the published plans, the plans that activations froze, the directory."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.domain.directory import Directory
from services.domain.matching import PlanIndex
from services.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Playbook:
    """``published`` is what new incidents are matched against; ``frozen`` holds every wording in use by digest."""

    published: PlanIndex
    frozen: Mapping[str, Plan]
    directory: Directory
