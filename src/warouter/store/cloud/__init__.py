"""What the Cloud API needs on disk.

receive   what webhooks brought, into the inbox: users, elements, the listener's state
number    its rate, shared by the owners, and its stop
notices   what Meta said of the account and the number
posts     POSTs that wait for a commit share it
"""
