"""What the Cloud API needs on disk.

receive   what webhooks brought, into the inbox: users, elements, the listener's state
posts     POSTs that wait for a commit share it
"""
