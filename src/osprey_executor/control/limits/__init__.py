"""The limits database: what may be written to a channel at all; import from `osprey_executor.control`."""
