"""The virtual accelerator: a pyAT ring behind a real EPICS IOC, a process of its own.

Run it with `python -m osprey_executor.control.simulator`; `osprey_executor.control.connectors` starts it so.
"""
