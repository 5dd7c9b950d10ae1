"""The Graph API of the Cloud door, over plain HTTP.

connection       one caller: requests from bytes, answers good and bad
line             the line to all callers, which can go deaf or be cut
routes           node and edge of a call
messages_edge    a request for a message, from its last byte to its answer
fate             what becomes of such a request
number_node      the node of the number
health           what the node says of who may send
account_node     the node of the account
profile_edge     the profile of the number, and its photo
compliance_edge  its compliance information
uploads          the Resumable Upload API
app_node         the node of the app, and what there is to know of a token
tokens           which bearers are taken
callers          who calls, and what that one may ask for
callbacks        where webhooks go, and the subscription
media_edge       media by id and by URL
history          the number's messages, and their events
errors           Meta's error codes and the form of an error
"""
