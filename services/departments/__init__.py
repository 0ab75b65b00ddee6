"""What a department runs: a client library that talks Kafka only, and an agent that answers by itself in exercises.

- `client`: ``Department``; `order`: ``Order``, with every answer; `journal`: what survives a crash
- `agent`: ``AutomaticAgent``, which answers by itself
- `memory`: ``MemoryBroker``, to test handlers without Kafka
"""

from services.departments.answering import OrderEndedError
from services.departments.client import Department
from services.departments.order import Order

__all__ = ["Department", "Order", "OrderEndedError"]
