"""Runs with the Cloud API: Meta is the core of the simulator's Cloud door, which also the chaos
campaign and the cluster tests meet, on virtual time; webhooks go to the product's own listeners.

issues      issue rows, and the ids that the Cloud API gave
inbox       the inbox of webhooks, and whether listeners listen
number      shares of the number's rate, and its stop
graph       both ends of a request: the Graph API's client in a process, the door's caller
meta        Meta: the core, its clock, its network and what faults do to it
webhooks    the listeners
history     requests, acceptances, evidence, doubts
judge       the promises of the Cloud API
faults      what goes wrong there, and which faults are drawn
mutants     the product without a rule each, and the faults that miss it
without     what stands in the place of its functions then
numbered    a database with one number a slot in place of issue rows
threats     faults that only mutants need
seams       spans of time, shorter and in the same proportions
world       one run
"""
