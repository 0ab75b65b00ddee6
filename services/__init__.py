"""Muster's services: the pure engine, the world around it, and the processes that run it."""
