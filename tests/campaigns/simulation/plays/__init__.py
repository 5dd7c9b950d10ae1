"""The same calls played on the model and on a real PostgreSQL, answers and rows compared.

calls       what may be asked, drawn by Hypothesis
player      asks it through the product's own store objects: owners and nodes
leading     the same of leaders
values      ids and keys of plays, and answers that can be compared
model       one side: the simulation's tables behind the simulation's driver
postgres    the other side, with a clock that the play sets
outcome     what a play came to on either
"""
