"""Schemathesis against a real process that serves: no request breaks it, and every answer is as its schema says."""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import Case
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from osprey_executor.access import People
from osprey_executor.models import Role

from . import conftest
from .served import Served, serving

CHECKS = [content_type_conformance, response_schema_conformance, status_code_conformance]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    home, folder = tmp_path_factory.mktemp("fuzzed"), tmp_path_factory.mktemp("config")
    token = People(home).add("fay", list(Role))
    # What begins by chance must not pile up.
    config = conftest.settings(execution={"code_generator": "mock", "max_concurrent_runs": 1, "max_queued_runs": 0})
    with serving(home, folder, config) as one:
        yield one, {"Authorization": f"Bearer {token}"}


def test_no_request_breaks_the_service(served: tuple[Served, dict[str, str]]) -> None:
    one, headers = served
    schema = schemathesis.openapi.from_dict(
        httpx.get(f"{one.url}/openapi.json", headers=headers, trust_env=False, timeout=100).json()
    )
    schema.config.update(base_url=one.url)
    operations = [operation.ok() for operation in schema.get_all_operations()]
    assert len(operations) > 15
    with requests.Session() as session:
        session.trust_env = False
        for operation in operations:

            @seed(1)
            @given(case=operation.as_strategy())
            @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
            def ask(case: Case) -> None:
                answer = case.call(headers=headers, session=session, timeout=60)
                assert answer.status_code < 500, answer.text
                case.validate_response(answer, checks=CHECKS)

            ask()
