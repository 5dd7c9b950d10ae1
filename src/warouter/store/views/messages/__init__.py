"""The list of messages, outgoing and inbound, the newest first.

found     what is looked for, and what a search returns
asked     a search as people write it, in a URL or at a shell
newest    many lists as one: which rows are surely the newest, and where to go on
outgoing  rows of the journal of messages, and their states
inbound   rows of the journal of inbound messages
short     ids of inbound messages as people see them
shown     messages by those ids, and their traces
read      the search itself, bounded in rows and seconds
rate      how many there were in the last seconds
"""
