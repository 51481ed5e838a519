"""What the libraries that a program may use do to the world, as data: one short file per library."""

from osprey_executor.analysis.catalogue._catalogue import REACHES_NOTHING, Catalogue, Rule
from osprey_executor.analysis.catalogue._load import (
    GROUP,
    builtin_catalogue,
    empty_catalogue,
    extended_catalogue,
    shipped_names,
)

__all__ = [
    "GROUP",
    "REACHES_NOTHING",
    "Catalogue",
    "Rule",
    "builtin_catalogue",
    "empty_catalogue",
    "extended_catalogue",
    "shipped_names",
]
