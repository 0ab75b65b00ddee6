"""Incidents in, plans chosen, assignments out."""
