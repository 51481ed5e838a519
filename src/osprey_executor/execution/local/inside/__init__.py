"""Scripts that the service runs inside a sandbox, to see whether its walls hold. Never imported."""
