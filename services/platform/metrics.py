"""What every service counts, for Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("muster_events_total", "Events decided, by kind and outcome.", ["namespace", "type", "outcome"])
DEAD_LETTERS = Counter("muster_dead_letters_total", "Messages that could not be taken.", ["namespace", "origin"])
PUBLISHED = Counter("muster_messages_published_total", "Messages the broker has confirmed.", ["namespace", "type"])
SWEPT = Counter("muster_messages_swept_total", "Messages published late, by the sweeper.", ["namespace"])
RETRIES = Counter("muster_retries_total", "Transient failures that were tried again.", ["what"])
DECIDE_SECONDS = Histogram(
    "muster_decide_seconds",
    "From taking a batch to its commit, in seconds.",
    ["namespace"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
LATENESS_SECONDS = Histogram(
    "muster_deadline_lateness_seconds",
    "How long after its time a deadline was handled, in seconds of the service's clock.",
    ["namespace"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
)
BROKER_LOSSES = Counter(
    "muster_broker_losses_total", "Times the broker was found to have lost its data.", ["namespace"]
)
READY = Gauge("muster_ready", "1 while the service takes work.", ["service"])
