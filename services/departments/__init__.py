"""What a department runs: client library and agent."""
