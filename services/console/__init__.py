"""Web pages and the read API."""
