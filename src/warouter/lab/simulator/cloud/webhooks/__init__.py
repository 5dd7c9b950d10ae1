"""Webhooks of the Cloud door: what happened at Meta, told to the URLs of the business.

envelope   elements in entries and changes, as ASCII, signed
outbox     which POSTs leave now, and when a failed one comes again
sender     the handshake and the POSTs
"""
