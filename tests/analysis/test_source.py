"""What a person sees on the card is what Python runs: no encoding may give the bytes another meaning."""

from __future__ import annotations

import pytest

from osprey_executor.analysis import analyze


def refused(source: str | bytes) -> bool:
    return any(finding.rule == "syntax/error" for finding in analyze(source).findings)


@pytest.mark.parametrize(
    "source",
    [
        "# coding: utf-7\n#+AAo-import os\n",
        "#!/usr/bin/env python\n# -*- coding: utf_7 -*-\nx = 1 #+AAo-x = 2\n",
        "# coding: latin-1\nx = 'é'\n",
        "# coding: no-such-encoding\nx = 1\n",
        "x = '\ud800'\n",
        "x = 1\0\n",
        b"x = '\xff'\n",
    ],
)
def test_text_that_python_would_read_otherwise_is_refused(source: str | bytes) -> None:
    assert refused(source)


@pytest.mark.parametrize(
    "source",
    [
        "\ufeffx = 1\n",
        "# -*- coding: utf-8 -*-\nx = 'é'\n",
        "# coding: latin-1\nx = 1\n",
        "x = 1\n\n# coding: utf-7 in the third line is a comment\n",
        "# coding: latin-1\nx = 'é'\n".encode("latin-1"),
    ],
)
def test_text_that_means_what_it_shows_is_fine(source: str | bytes) -> None:
    assert not refused(source)
