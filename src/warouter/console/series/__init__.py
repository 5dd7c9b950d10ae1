"""The metrics that the console remembers, for its charts.

memory    the series: what was read, as increases and gauges, for an hour and for six
track     their lines at one resolution
feeder    reads every five seconds
"""
