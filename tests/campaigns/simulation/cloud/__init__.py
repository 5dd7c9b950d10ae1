"""Runs with the Cloud API: a Meta without a fence that drops no repeats, and the real webhooks.

issues      issue rows, and the ids that the Cloud API gave
inbox       the inbox of webhooks, and whether listeners listen
number      shares of the number's rate, and its stop
graph       the Graph API's client in a process
meta        Meta: takes requests or not, answers or not
webhooks    webhooks on their way, and the listeners: the product's own
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
