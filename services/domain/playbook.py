"""Everything the engine looks up: the published plans, the plans that activations froze, the directory."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.domain.directory import Directory
from services.domain.matching import PlanIndex
from services.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class Playbook:
    """What new incidents are matched against, and every wording in use by digest, the published ones among them."""

    published: PlanIndex
    frozen: Mapping[str, Plan]
    directory: Directory
