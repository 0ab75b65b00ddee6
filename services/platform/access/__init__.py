"""Who may do what: people, their sessions, tokens for programs, and the guard before every route."""
