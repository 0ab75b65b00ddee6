"""Lint rules, one module for each thing a planner writes; `services.playbooks.lint` runs them all."""
