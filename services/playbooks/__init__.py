"""YAML files to domain values: strict loading, conditions, directory, lint."""
