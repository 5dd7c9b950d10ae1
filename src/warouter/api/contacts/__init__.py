"""/v1/contacts: who is on WhatsApp, and whose keys have changed.

handlers        POST /v1/contacts
book            what the API answers about a number: from its store, else from the upstream
numbers         the wa_id of a spelling
trunk_zeros     numbers with a zero that is dialled within a country
cloud_contacts  contacts and identities of the Cloud API
identity        GET and PUT of a customer's identity
"""
