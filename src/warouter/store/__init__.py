"""PostgreSQL: the only shared state, the root of trust. SQL stands beside the call it serves."""
