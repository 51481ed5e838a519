"""The Python Execution Service: language models write Python, people approve it, a sandbox runs it."""
