"""Commands and the past: what a connector has of them works, what it lacks raises NotSupportedError."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from osprey_executor.errors import NotSupportedError
from osprey_executor.models import History
from osprey_executor.testing.connector_conformance._bench import ConnectorBench, same


class TestCalls:
    """Commands."""

    def test_a_command_answers_or_there_are_none(self, connector_bench: ConnectorBench) -> None:
        command, call = connector_bench.expected.command, connector_bench.connector.call
        if command is None:
            with pytest.raises(NotSupportedError):
                connector_bench.wait(call(connector_bench.expected.number.name, {}))
            return
        channel, arguments, answer = command
        assert same(connector_bench.wait(call(channel, arguments)), answer)


class TestHistory:
    """Archived values."""

    def history(self, bench: ConnectorBench, bin: float | None = None) -> History | None:
        name, end = bench.expected.archived, datetime.now(UTC)
        wanted = bench.expected.number.name if name is None else name
        work = bench.connector.history([wanted], end - timedelta(hours=1), end, bin)
        if name is None:
            with pytest.raises(NotSupportedError):
                bench.wait(work)
            return None
        found = bench.wait(work)
        assert list(found) == [name]
        assert found[name].channel == name
        return found[name]

    def test_values_have_times_in_order(self, connector_bench: ConnectorBench) -> None:
        found = self.history(connector_bench)
        if found is not None:
            assert found.times.dtype == np.dtype("datetime64[ns]")
            assert found.severities.dtype == np.uint8
            assert 0 < len(found.times) == len(found.values) == len(found.severities)
            assert (np.diff(found.times) >= np.timedelta64(0)).all()
            assert found.times[-1] <= np.datetime64(datetime.now(UTC).replace(tzinfo=None))

    def test_a_bin_gives_one_value_each(self, connector_bench: ConnectorBench) -> None:
        found = self.history(connector_bench, bin=600.0)
        if found is not None:
            assert 1 <= len(found.times) <= 8
            assert len(set(found.times.tolist())) == len(found.times)
