"""Analysis: source in, findings and effects out. It parses only; nothing of the program is imported or run."""

from osprey_executor.analysis._analyze import analyze
from osprey_executor.analysis.quality import Gates
from osprey_executor.analysis.rules import RULES
from osprey_executor.analysis.site import Site, analysis_problem, site_of

__all__ = ["RULES", "Gates", "Site", "analysis_problem", "analyze", "site_of"]
