"""Webapp to coreapp: one authenticated connection each, one write a turn of the loop."""
