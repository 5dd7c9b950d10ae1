"""Whole clusters under load; see bench/README.md."""
