"""What deploy/ ships, run as its users run it: packages, containers, machines, Patroni, AWS.

Each suite is a folder and a target of the Makefile, which gives it networks, mounts and processes
of its own (``alone``): all of them end with the run. What a suite lacks here it says in one
sentence.
"""
