"""What an owner does only with the Cloud API, which cannot tell a repeated request from a new one.

quiesce     slots that are to move, and begin no request
"""
