"""The views of the database for consoles, metrics and the command line. Nothing here writes.

status    the whole cluster, in one read-only snapshot
backlog   how much waits in each slot
stats     the same and more as samples for Prometheus
facts     what /v1/support says of the cluster
trace     every step of one message
doubts    messages in doubt or held, and a number that is stopped
number    the number that the Cloud API serves
attempts  the requests of one message to the Cloud API
audit     the audit log, as entries and row by row
chain     whether its rows continue one another
"""
