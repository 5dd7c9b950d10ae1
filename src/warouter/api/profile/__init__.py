"""The business as customers see it: profile, compliance information, about text, photo.

handlers       the calls of v1
fields         what v1 has of it, and its limits
port           where it is kept
local          in the database
cloud_profile  at Meta, whose customers see it there
verticals      the lines of business: v1's texts, and Meta's names for them
"""
