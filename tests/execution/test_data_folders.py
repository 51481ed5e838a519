"""Folders of the host that the configuration shows to every program."""

from __future__ import annotations

from pathlib import Path

import pytest

from osprey_executor.config import ExecutionConfig
from osprey_executor.errors import ConfigurationError
from osprey_executor.execution import Program
from osprey_executor.execution.local import open_local
from osprey_executor.models import RunStatus

CODE = """
import os
told = {'read': open(FOLDER + '/inner/a').read(), 'beside': os.path.exists(os.path.dirname(FOLDER) + '/beside')}
for name in ('a', 'new'):
    try: open(FOLDER + '/inner/' + name, 'w')
    except OSError as error: told[name] = error.errno
results = told
"""


@pytest.mark.parametrize("isolation", ["full", "restricted"])
async def test_a_data_folder_is_read_only_and_shows_nothing_beside_it(tmp_path: Path, isolation: str) -> None:
    inner = tmp_path / "data" / "inner"
    inner.mkdir(parents=True)
    (inner / "a").write_text("archived")
    (inner / "a").chmod(0o666)
    (tmp_path / "beside").touch()
    for folder in (inner, *inner.parents[:3]):
        folder.chmod(0o777)
    config = ExecutionConfig.model_validate({"isolation": isolation, "data_folders": [str(tmp_path / "data")]})
    async with open_local(config) as engine:
        assert engine.isolation.proven
        assert str(tmp_path / "data") in (await engine.identity())["visible"]
        for _ in range(2):  # the second may be forked
            outcome = await engine.run(Program(code=CODE.replace("FOLDER", repr(str(tmp_path / "data")))))
            assert outcome.status is RunStatus.SUCCEEDED, outcome.error
            assert outcome.results["read"] == "archived"
            assert {outcome.results["a"], outcome.results["new"]} <= {1, 13, 30}
            # Restricted, paths are the host's own: what is beside cannot be read, but that it exists can be seen.
            assert isolation == "restricted" or not outcome.results["beside"]
            if engine.pool is not None:
                assert await engine.pool.ready(), engine.pool.problem
    assert (inner / "a").read_text() == "archived"


@pytest.mark.parametrize("folder", ["relative", "/does/not/exist", "/proc/self", "/tmp", "/", str(Path.home())])
async def test_what_holds_more_than_data_is_refused(folder: str) -> None:
    with pytest.raises(ConfigurationError, match=r"data_folders|cannot be shown"):
        async with open_local(ExecutionConfig.model_validate({"data_folders": [folder]})):
            pass
