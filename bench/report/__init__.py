"""Makes the tables and plots of docs/benchmarks.md from what the benchmarks printed."""
