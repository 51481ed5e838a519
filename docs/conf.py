"""How the documentation is built: MyST pages, docstrings of the public names, furo."""

import re
import tomllib
from pathlib import Path

# Autodoc imports with TYPE_CHECKING on, which breaks pydantic models of LangChain; what is imported already stays.
import langchain_core.tools  # noqa: F401
import langgraph.graph  # noqa: F401

_project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]

project = _project["name"]
version = release = _project["version"]
author = "the osprey-executor developers"
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "osprey-executor"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# Docstrings write `names` in single backticks, as Markdown does.
default_role = "code"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False


def setup(app):
    """Connect the reader of docstrings, ahead of napoleon."""
    app.connect("autodoc-process-docstring", _fences_to_blocks, priority=400)


def _fences_to_blocks(app, what, name, obj, options, lines):
    """Docstrings fence code as Markdown does; Sphinx reads them as reStructuredText."""
    read, inside = [], False
    for line in lines:
        fence = re.fullmatch(r"(\s*)```(\w*)", line)
        if fence and not inside:
            read += [f"{fence[1]}.. code-block:: {fence[2] or 'text'}", ""]
        elif fence:
            read.append("")
        else:
            read.append(f"    {line}" if inside else line)
        inside ^= bool(fence)
    lines[:] = read
