"""What the analysis says of a program."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Effect(StrEnum):
    """What a program can do to the world."""

    CONTROL_WRITE = "control_write"
    CONTROL_READ = "control_read"
    FILE_READ = "file_read"
    """Reads a file outside the working folder."""
    FILE_WRITE = "file_write"
    FILE_DELETE = "file_delete"
    SECRET = "secret"  # noqa: S105  # a word, no password
    """Reads what should not be told: keys, passwords, tokens, the environment."""
    PROCESS = "process"
    NETWORK = "network"
    RESOURCE = "resource"
    """Takes memory, processor time or disk without an end in sight."""
    INTERPRETER = "interpreter"
    """Looks into, or changes, the interpreter that runs the program."""
    DYNAMIC_CODE = "dynamic_code"
    OPAQUE = "opaque"
    """Something that the analysis cannot resolve and that could be any of the others."""


class Verdict(StrEnum):
    """What the analysis advises; the approval policy decides."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class Severity(StrEnum):
    """How much a finding matters to the person who reads the card."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Confidence(StrEnum):
    """How sure the analysis is of a finding."""

    CERTAIN = "certain"
    """The source says so."""
    LIKELY = "likely"
    """One of several things that a name may hold, or known by its name alone."""
    POSSIBLE = "possible"
    """Cannot be ruled out."""


class FindingKind(StrEnum):
    """Whom a finding is for."""

    SECURITY = "security"
    """What the program does to the world: for the person who decides."""
    QUALITY = "quality"
    """What is wrong with the program: for its author."""


class Step(BaseModel):
    """One station on the way that a value took to the place where it acts."""

    model_config = ConfigDict(frozen=True)

    what: str
    """A name of the program, or `call`; hostile text."""
    line: int


class Finding(BaseModel):
    """One place in the source and what it means. Lines and columns count from 1, as editors do."""

    model_config = ConfigDict(frozen=True)

    rule: str
    """Stable id, `room/name`: `control/epics-caput`, `syntax/error`."""
    line: int
    column: int
    end_line: int | None = None
    end_column: int | None = None
    severity: Severity = Severity.INFO
    effect: Effect | None = None
    message: str
    """Plain words for a person; may quote the source, so it is hostile text."""
    kind: FindingKind = FindingKind.SECURITY
    confidence: Confidence = Confidence.CERTAIN
    way: tuple[Step, ...] = ()
    """How the value came here, in order, where that is more than one line."""

    @property
    def unseen(self) -> bool:
        """Whether code runs here that the analysis has not seen through; it may change whatever the rest says."""
        dynamic = self.effect is Effect.DYNAMIC_CODE and self.rule != "dynamic/constant-code"
        return dynamic or self.effect is Effect.OPAQUE


class WriteTarget(BaseModel):
    """A channel that the program would write, as far as the source tells."""

    model_config = ConfigDict(frozen=True)

    channel: str | None
    """Name, or a pattern with `*` for what is computed; None where nothing is known."""
    value: str | None = None
    """The value as source text, or the constant that a name holds; None where nothing tells it."""
    line: int

    @property
    def known(self) -> bool:
        """Whether anything is known of the channel; a pattern of nothing but wildcards says nothing."""
        return bool(self.channel and self.channel.strip("* ."))


class AnalysisReport(BaseModel):
    """Findings, effects and verdict of one source."""

    model_config = ConfigDict(frozen=True)

    findings: tuple[Finding, ...] = ()
    effects: frozenset[Effect] = frozenset()
    verdict: Verdict = Verdict.ALLOW
    reason: str = ""
    """Why the verdict is what it is, in one sentence."""
    writes: tuple[WriteTarget, ...] = ()
    """Channels that the source would write, in source order."""

    @property
    def flaws(self) -> tuple[Finding, ...]:
        """What is wrong with the program itself, to be mended by its author."""
        return tuple(one for one in self.findings if one.kind is FindingKind.QUALITY)
