"""One machine: an embedded PostgreSQL and every process of a cluster as our children."""
