"""The servers Muster can start by itself, on loopback, for development, drills and tests."""
