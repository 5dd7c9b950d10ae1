"""Durable queues beside warouter: one message a call, 256 callers. ``python -m bench.peers``."""
