"""PostgreSQL: the only shared state, and the root of trust. SQL stands beside the call it serves."""
