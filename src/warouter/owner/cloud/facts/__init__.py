"""What one owner asks Meta for all, beside messages.

described   the number as Meta has it, and until when the token lives
"""
