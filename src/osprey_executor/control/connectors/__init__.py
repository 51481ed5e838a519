"""Control systems as the broker sees them: one narrow interface; `mock`, `epics` and `simulator` are equals behind it.

Import from `osprey_executor.control`; this package is empty on purpose, for its child processes start by importing it.
"""
