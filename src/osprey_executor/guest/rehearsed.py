"""The program of the rehearsal, see `worker`: it does what programs do first."""

from __future__ import annotations

results = {"number": 1, "real": 0.5, "text": "a", "list": [1, 2.0, "b"], "nested": {"none": None, "yes": True}}
