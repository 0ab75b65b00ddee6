"""The engine: pure functions over frozen values. No I/O, no clock, no randomness, no framework.

`services.domain.engine.decide` is the one way in; the live services, the linter, the simulator and the replay
all go through it, so they can't disagree.
"""
