"""The contract of every generator, as tests.

Import everything into a test module and tell in one fixture how the generator is made, and, if it asks a model, how it
is made to ask a scripted provider:

```python
import pytest

from my_site.generators import MyGenerator
from osprey_executor.testing.generator_conformance import *


@pytest.fixture(scope="module")
def generator_under_test() -> GeneratorUnderTest:
    return GeneratorUnderTest(
        make=lambda url, key, timeout: MyGenerator({"base_url": url, "api_key": key, "timeout": timeout}),
        asks="openai",
    )
```

The tests are plain functions that run the event loop themselves, so no plug-in of pytest is needed.
"""

from osprey_executor.testing.generator_conformance._bench import (
    GeneratorBench,
    GeneratorUnderTest,
    generator_bench,
)
from osprey_executor.testing.generator_conformance._contract import TestContract, TestLife
from osprey_executor.testing.generator_conformance._faults import TestFaults
from osprey_executor.testing.generator_conformance._model import TestBudget, TestModel

__all__ = [
    "GeneratorBench",
    "GeneratorUnderTest",
    "TestBudget",
    "TestContract",
    "TestFaults",
    "TestLife",
    "TestModel",
    "generator_bench",
]
