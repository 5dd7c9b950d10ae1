"""The same calls played on the model and on a real PostgreSQL, answers and rows compared.

calls       what may be asked, drawn by Hypothesis: each a method of the product and its arguments
player      asks it through the product's own store objects
outcome     what a play came to, as plain values
model       one side: the simulation's tables behind the simulation's driver
postgres    the other side, with a clock that the play sets
"""
