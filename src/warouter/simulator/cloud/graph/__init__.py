"""The Graph API of the Cloud door, over plain HTTP.

connection  one caller: requests from bytes, answers good and bad
line        the line to all callers, which can go deaf or be cut
routes      token, node and edge of a call
messages    a request for a message, from its last byte to its answer
fate        what becomes of such a request
number      the node of the number
account     the node of the account
media       media by id and by URL
history     the number's messages, and their events
errors      Meta's error codes and the form of an error
"""
