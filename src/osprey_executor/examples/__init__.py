"""Example programs, shipped as files: run one with `osprey-executor run --code FILE`. They are never imported."""
