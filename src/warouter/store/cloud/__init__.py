"""The tables of the Cloud API: its inbox, identities, rates and notices.

receive     what webhooks brought, into the inbox: users, elements, the listener's state
keys        identities of customers that webhooks show
seen_users  users of whom this webapp has written all that is known
contacts    who cannot be reached, whose identity is known, what was set at Meta
number      its rate, shared by the owners, and its stop
notices     what Meta said of the account and the number
posts       POSTs that wait for a commit share it
"""
