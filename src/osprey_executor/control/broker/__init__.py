"""The broker: checks, journals and sends what code wants to write; import from `osprey_executor.control`."""
