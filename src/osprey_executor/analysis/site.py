"""What a site makes of the analysis: what it denies, which effects and patterns it adds."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase

from osprey_executor.analysis.catalogue import Catalogue, builtin_catalogue, extended_catalogue
from osprey_executor.analysis.patterns import Patterns
from osprey_executor.analysis.rules import RULES
from osprey_executor.config import AnalysisConfig
from osprey_executor.errors import ConfigurationError
from osprey_executor.models import Effect, Finding
from osprey_executor.text import one_line


@dataclass(frozen=True)
class Site:
    """How one site analyses."""

    catalogue: Catalogue = field(default_factory=builtin_catalogue)
    deny: frozenset[str] = frozenset()
    """Effects and rule ids that are refused outright; a rule may be written with `*`."""
    patterns: Patterns = field(default_factory=Patterns)

    def denies(self, finding: Finding) -> bool:
        """Return whether this site refuses what a finding tells."""
        return any(word == finding.effect or ("/" in word and fnmatchcase(finding.rule, word)) for word in self.deny)


def site_of(config: AnalysisConfig) -> Site:
    """Return the site that a configuration describes.

    Raises:
        ConfigurationError: a catalogue cannot be read, a pattern is no regular expression, or a denied word stands for
            nothing, which would deny nothing.
    """
    catalogue = extended_catalogue(config.catalogue)
    known = {*Effect, *RULES, *catalogue.rule_ids()} if config.deny else set[str]()
    for word in config.deny:
        if word not in known and not ("*" in word and any(fnmatchcase(rule, word) for rule in known)):
            near = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
            meant = (
                f"did you mean {near[0]}?" if near else f"effects are {', '.join(Effect)}; rules look like room/name"
            )
            raise ConfigurationError(f"analysis.deny: there is no effect or rule {one_line(word, 80)}; {meant}")
    patterns = Patterns.of(write=config.patterns.write, read=config.patterns.read)
    return Site(catalogue=catalogue, deny=frozenset(config.deny), patterns=patterns)


def analysis_problem(config: AnalysisConfig) -> str | None:
    """Return what of a configuration the analysis cannot use; None: nothing."""
    try:
        site_of(config)
    except ConfigurationError as error:
        return str(error)
    return None
