"""The questions to Meta beside messages.

described   the number as Meta has it, and until when the token lives: one owner asks for all
templates   their categories, and those that are held back
"""
