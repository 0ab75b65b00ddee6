"""Deadlines that fall due."""
