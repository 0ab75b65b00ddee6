"""Scenarios, injects, simulated participants, reports."""
