"""The channel entity: events and waits of one name and key meet here, in one total order.

Both arrive through the same partition of the same log, so there is no race between an event and a wait: the
second finds the first.
"""
