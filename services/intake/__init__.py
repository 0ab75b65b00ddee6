"""Reports come in (HTTP, CAP, Kafka) and leave as one shape."""
