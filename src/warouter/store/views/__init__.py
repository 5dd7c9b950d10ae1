"""The views of the database for consoles, metrics and the command line. Nothing here writes.

status          the whole cluster, in one read-only snapshot
backlog         how much waits in each slot
owners          changes of owners, and who owned what at a time
stats           the same and more as samples for Prometheus
facts           what /v1/support says of the cluster
trace           every step of one message
messages/       the list of messages, newest first
doubts          messages in doubt or held, and a number that is stopped
doubt_choice    a choice among them, as people write it, and lists and counts of it
doubt_preview   what an operator's word to a choice would reach, and what it may cost
twice           messages that the Cloud API took more than once
webhook_status  how the webhook does, what waits for it, what it has refused
number_status   the number that the Cloud API serves
trust           who is connected, under which login, and whether in TLS
sessions        the facts of that
permitted       statements that not every login has the right to
peer            the server at the other end of a session in TLS
exposure        what `warouter check` asks besides
server          the facts of that
attempts        the requests of one message to the Cloud API
audit           the audit log, as entries and row by row
chain           whether its rows continue one another
setup           how it is set up: variables, settings, the registered number, media
"""
