"""The questions to Meta beside messages.

number_reader  the number as Meta has it, and until when the token lives: one owner asks for all
templates      their categories, and those that are held back
"""
