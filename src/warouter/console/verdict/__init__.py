"""Is all well, and if not, why, and what to do: the shipped alerts, judged by the console itself.

alerts    the latest readings, judged, and counters that are watched meanwhile
judge     what is judged, since when a rule is on, and the first sentence
rules     the shipped alerts, as the package has them
promql    the language of their expressions
snapshot  what they are evaluated over
counters  by how much counters grew lately
runbook   docs/3am.md by section, to which each alert leads
"""
