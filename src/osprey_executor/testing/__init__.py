"""What authors of plug-ins test with. It needs pytest, which the service itself never imports."""

import pytest

# Else a failed check of the suite, which is no test module of its user, would say `AssertionError` and nothing more.
pytest.register_assert_rewrite(
    "osprey_executor.testing.connector_conformance",
    "osprey_executor.testing.engine_conformance",
    "osprey_executor.testing.generator_conformance",
)
