"""The facts about the number that one owner asks Meta for, in the name of all.

described   the number as Meta has it, and until when the token lives
"""
