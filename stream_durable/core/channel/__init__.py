"""The channel entity: where events and waits of one name and key meet, in one total order.

Because both reach it through the same partition of the same log, there is no race between an event
and a wait: whichever comes second finds the first.
"""
