"""The object of an outgoing message that its type names, where it differs from v1's. Pure.

attached      media, wherever a message has any
template      templates
interactive   lists, buttons, products and the like
"""
