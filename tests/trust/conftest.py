"""What is longer than `make test` bears: `make test-trust` runs it."""
