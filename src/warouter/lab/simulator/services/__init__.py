"""The services that WhatsApp offers beside the message connection, over HTTP.

app           the three together, as one aiohttp application
contacts      which numbers are on WhatsApp, and the identities of customers
authority     codes, verification and two-step pins of numbers
media_store   content by handle
"""
