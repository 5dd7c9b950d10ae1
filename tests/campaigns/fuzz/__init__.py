"""Odd requests by seed against a real cluster: no 5xx, no change of state, memory flat."""
