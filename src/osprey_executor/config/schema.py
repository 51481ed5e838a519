"""The sections of the configuration, typed. Times are in seconds, sizes in bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from osprey_executor.config._environment import Expanded
from osprey_executor.config._rules import RuleConfig
from osprey_executor.config._secrets import sealed
from osprey_executor.models import Endpoint, Limits, PersonName, Role
from osprey_executor.models.limits import Count, Seconds

_WITH_USER = re.compile(r"^[a-z][a-z0-9+.-]*://[^/?#]*@", re.IGNORECASE)


_CONDITION = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(\S(?:.{0,58}\S)?)\s*")


def _condition(value: Any) -> str:
    found = _CONDITION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('must be a sign and a value, as in "> 10" or "== CLOSED": <, <=, >, >=, == and !=')
    sign, operand = found.groups()
    try:
        number = math.isfinite(float(operand))
    except ValueError:
        number = sign in ("==", "!=")
    if not number:
        raise ValueError("needs a finite number after <, <=, > and >=; a label or a text is compared with == or !=")
    return f"{sign} {operand}"


class Section(BaseModel):
    """A section: frozen, no unknown keys, no input quoted in errors (it may be a secret)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def _words(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _switch(value: Any) -> bool:
    """Return a switch as it was meant; what is neither true nor false is never guessed."""
    if isinstance(value, bool):
        return value
    # A variable can only hold text.
    if isinstance(value, Expanded):
        if value in ("true", "false"):
            return value == "true"
        raise ValueError("must be true or false, in exactly these letters where a variable gives it")
    raise ValueError("must be true or false, without quotes")


def _url(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    url = value.strip().rstrip("/")
    if not re.match(r"https?://[^/\s]", url, re.IGNORECASE):
        raise ValueError("a URL starts with http:// or https:// and a host")
    if _WITH_USER.match(url):
        raise ValueError("a URL must not carry a user or password; put the key in api_key")
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError("a URL holds no blanks and no control characters")
    try:
        there = urlsplit(url).port != 0
    except ValueError:
        there = False
    if not there:
        raise ValueError("a URL has a host and a port from 1 to 65535, as http://host:8000 or http://[::1]:8000")
    return url


def _key(value: SecretStr) -> SecretStr:
    # HTTP has no letters for others in a header, and drops blanks around one.
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?|", value.get_secret_value()):
        raise ValueError("a key is one line of ASCII characters; look for a newline or a blank at one of its ends")
    return value


Switch = Annotated[bool, BeforeValidator(_switch)]
"""A real boolean, or the word `true` or `false` from `${NAME}`: a protection is not switched off by a guess."""
Url = Annotated[str, BeforeValidator(_url)]
Key = Annotated[SecretStr, AfterValidator(_key)]
ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Retries = Annotated[int, Field(ge=0, le=20)]
Addresses = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""A list, or words with blanks or commas between, as EPICS_CA_ADDR_LIST has them."""
AllowedEndpoint = Annotated[str, AfterValidator(lambda text: str(Endpoint.parse(text)))]
"""`host:port`, as `Endpoint` writes it."""
Sealed = Annotated[dict[str, Any], BeforeValidator(sealed)]
"""A block of a plug-in; what its key names as secret is a `SecretStr`."""


_SECONDS = TypeAdapter[float](Seconds)


def _is_time(value: Any) -> bool:
    try:
        _SECONDS.validate_python(value)
    except ValidationError:
        return False
    return True


_OF_A_SERVER = {
    *("jupyter_host", "jupyter_port", "token", "use_https", "ca_file", "base_url", "headers", "kernel_name"),
    *("kernel_user", "accept_unproven"),
}


class ContainerConfig(Section):
    """The Jupyter server of the container engine."""

    jupyter_host: str = "localhost"
    jupyter_port: Port = 8888
    token: SecretStr | None = None
    use_https: Switch = False
    ca_file: Path | None = None
    """Certificates (PEM) that vouch for the server; None: those of the system."""
    base_url: str = "/"
    """Path in front of the server's own, as `/user/anna/` of a JupyterHub."""
    headers: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    """Sent with every request; their values are taken for secrets."""
    kernel_name: str | None = None
    """Of the kernels that the server has; None: its default."""
    kernel_user: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$")] | None = None
    """For whom an Enterprise Gateway starts kernels; None: as it is set up."""
    warm_kernels: Annotated[int, Field(ge=0, le=64)] = 2
    """Kernels started in advance, each for one program alone."""
    max_kernels: Count = 16
    """Kernels at once, with those in advance; runs beyond wait."""
    patience: Seconds = 30.0
    """Seconds in which the server must answer, and a kernel be ready."""
    reconnect: Seconds = 30.0
    """Seconds for which a broken connection is tried again, before the outcome of its run is called unknown."""
    accept_unproven: Switch = False
    """Whether programs may run next to a real machine where nothing shows that the server contains them."""
    managed: Switch = False
    """Whether kernels run in the container that `osprey-executor container up` has started, and in no other place."""

    @model_validator(mode="after")
    def _one_place(self) -> ContainerConfig:
        if self.managed and (other := sorted(self.model_fields_set & _OF_A_SERVER)):
            raise ValueError(
                f"managed: true means the container of `osprey-executor container up`, so {', '.join(other)} must not "
                "be set beside it"
            )
        return self


class ForkServerConfig(Section):
    """A Python that has imported what programs like to import, and from which runs are forked. Times are in seconds."""

    enabled: Switch = True
    """False: each run starts an interpreter of its own, in the same jail."""
    preload: tuple[ModuleName, ...] = ("numpy", "pandas", "scipy", "matplotlib.pyplot")
    """Modules imported in advance, where the environment has them; never clients of a control system."""
    spares: Annotated[int, Field(ge=1, le=64)] = 4
    """Jails kept ready."""
    runs: Count = 1000
    """Runs after which the server is renewed: those it has forked share its address layout and hash seed."""
    idle: Seconds = 600.0
    """Time without a run after which it ends; the next run brings it back."""


class BudgetConfig(Section):
    """What generating code may take, for one request, all attempts together; None: without a limit."""

    tokens: Count | None = None
    """Of questions and answers."""
    cost: Annotated[float, Field(gt=0)] | None = None
    """In US dollars, by list price."""
    seconds: Seconds | None = 1800.0


class ExecutionConfig(Section):
    """Who writes code and where it runs."""

    code_generator: str | None = None
    """`basic`, `mock`, the name of a plug-in, or `module:Class`; None: no generator is configured."""
    execution_method: Literal["local", "container"] = "local"
    isolation: Literal["full", "restricted", "none"] = "full"
    timeout: Seconds = 600.0
    """Wall time of a run; it overrides `limits.timeout`, and the two always agree after loading."""
    python_env_path: Path | None = None
    """A Python, or a virtual environment, whose packages the code finds."""
    data_folders: tuple[Path, ...] = ()
    """Folders of the host that every program may read, each at its own path; absolute."""
    network: Annotated[tuple[AllowedEndpoint, ...], BeforeValidator(_words), Field(max_length=32)] = ()
    """Endpoints, `host:port`, to which every program may open TCP connections; containment is then not proven."""
    limits: Limits = Limits()
    fork_server: ForkServerConfig = ForkServerConfig()
    max_concurrent_runs: Count = 32
    """How many programs one service runs at once."""
    max_queued_runs: Annotated[int, Field(ge=0, le=1_000_000)] = 256
    """How many more runs may be on their way to it; one beyond is refused at once."""
    max_generation_retries: Retries = 3
    max_execution_retries: Retries = 3
    repairs_before_fresh: Retries = 2
    """How often a failed program goes back to its generator before a fresh one is asked for, without the old errors."""
    generation_budget: BudgetConfig = BudgetConfig()
    save_prompts: Switch = False
    """Whether what models were asked, and answered, is kept in the run folder, secrets masked."""
    generators: dict[str, Sealed] = Field(default_factory=dict[str, dict[str, Any]])
    """One block a generator, handed to it as `model_config`."""
    container: ContainerConfig = ContainerConfig()

    @field_validator("network")
    @classmethod
    def _enforceable(cls, network: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        isolation = info.data.get("isolation", "full")
        if network and isolation == "none":
            raise ValueError(
                "must be empty with isolation: none, where nothing keeps programs from any network and a list cannot "
                "be enforced: remove it, or set execution.isolation to full"
            )
        if network and isolation != "full":
            raise ValueError(
                f"must be empty with isolation: {isolation}, where programs have no network at all: remove it, or set "
                "execution.isolation to full"
            )
        for endpoint in network:
            host, _, port = endpoint.rpartition(":")
            if host == "localhost" and f"127.0.0.1:{port}" in network:
                raise ValueError(f"must name {endpoint} and 127.0.0.1:{port} once: inside they are one place")
        return tuple(dict.fromkeys(network))

    @model_validator(mode="before")
    @classmethod
    def _one_timeout(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        filled: dict[str, Any] = {**cast("Mapping[str, Any]", data)}
        limits: Any = filled.get("limits")
        if isinstance(limits, Limits):
            limits = limits.model_dump()
        if limits is None or isinstance(limits, Mapping):
            inner: dict[str, Any] = {**cast("Mapping[str, Any]", limits or {})}
            # A value that is no time stays where the file has it, and is told there alone.
            if filled.get("timeout") is None:
                if _is_time(inner.get("timeout", 600.0)):
                    filled["timeout"] = inner.get("timeout", 600.0)
                else:
                    filled.pop("timeout", None)
            elif _is_time(filled["timeout"]):
                inner["timeout"] = filled["timeout"]
            filled["limits"] = inner
        return filled


class ModelConfig(Section):
    """A language model of a provider."""

    provider: str
    """`anthropic`, `openai`, `ollama`, `cborg`, or any name of an OpenAI-compatible server with a `base_url`."""
    model_id: str
    base_url: Url | None = None
    api_key: Key | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Count | None = None
    timeout: Seconds = 180.0
    """For one request, all tries together."""
    streaming: Switch = False
    """Whether the answer comes in pieces; for gateways that cut a silent connection."""

    _unset: dict[str, str] = PrivateAttr(default_factory=dict[str, str])

    @property
    def unset(self) -> Mapping[str, str]:
        """Fields whose variable is not set, and the name of that variable."""
        return self._unset

    def with_unset(self, unset: Mapping[str, str]) -> ModelConfig:
        """Return this model, knowing which variables it lacks."""
        made = self.model_copy()
        made._unset = dict(unset)
        return made


class ApprovalConfig(Section):
    """Who is asked, and for how long an approval holds."""

    mode: Literal["disabled", "control_writes", "all_code"] = "control_writes"
    expiry: Seconds = 86400.0
    rehearsal_timeout: Seconds = 60.0
    """For how long a rehearsal goes on after the first write that it kept from the machine."""
    rules: tuple[RuleConfig, ...] = ()
    """The first that fits counts; where none does, `mode` says who is asked."""
    remember: Annotated[float, Field(ge=0, le=7 * 86400)] = 28800.0
    """Seconds for which an approver may say that the same program, which writes nothing, starts without asking."""

    @model_validator(mode="after")
    def _asks(self) -> ApprovalConfig:
        if self.rules and self.mode == "disabled":
            raise ValueError("rules have no effect with mode: disabled, where nobody is asked: remove one of the two")
        return self


class PatternsConfig(Section):
    """Regular expressions over the text of programs, as Osprey has them; they add to the analysis."""

    write: tuple[str, ...] = ()
    """Where one fits, the program may write channels."""
    read: tuple[str, ...] = ()


class AnalysisConfig(Section):
    """What a site adds to the analysis of programs, and what it refuses."""

    deny: tuple[str, ...] = ()
    """Effects (`process`) and ids of rules (`control/epics-caput`, `opaque/*`) that are refused outright."""
    patterns: PatternsConfig = PatternsConfig()
    catalogue: tuple[Path, ...] = ()
    """TOML files that tell what more libraries do; relative to the configuration file."""
    quality: Switch = True
    """Whether generated code with plain mistakes goes back to its generator before it runs."""


class ConditionConfig(Section):
    """A channel compared with a value."""

    channel: Annotated[str, Field(min_length=1, max_length=200)]
    condition: Annotated[str, BeforeValidator(_condition)]
    """`> 10`, `== CLOSED`: a sign and a number; with `==` and `!=` also the label of a state, or a text."""
    age: Seconds | None = None
    """Seconds that the value's time stamp may be old; None: however old."""


class EpicsConfig(Section):
    """Where Channel Access looks for channels."""

    address_list: Addresses = ()
    """Hosts, or `host:port`, that are asked by UDP."""
    name_servers: Addresses = ()
    """Hosts, or `host:port`, that are asked by TCP: gateways behind a tunnel."""


class PvaConfig(Section):
    """Where PVAccess looks for channels."""

    address_list: Addresses = ()
    """Hosts, or `host:port`, that are asked by UDP."""
    name_servers: Addresses = ()
    """Hosts, or `host:port`, that are asked by TCP: gateways behind a tunnel."""


class ControlSystemConfig(Section):
    """The machine and what may be done to it."""

    type: str = "mock"
    """`mock`, `epics`, `pva`, `simulator`, or a connector that a plug-in registers."""
    writes_enabled: Switch = False
    user_name: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,30}$")] | None = "osprey-executor"
    """Under which EPICS servers see and log what is written; None: that of the service's account."""
    limits_database: Path | None = None
    """YAML or JSON; where it is set and cannot be read, nothing is written."""
    allow_unlisted_channels: Switch | None = None
    """Where the limits database does not say it itself."""
    on_violation: Literal["error", "skip"] | None = None
    """Where the limits database does not say it itself."""
    rehearsal: Literal["overlay", "simulator"] = "overlay"
    """What answers reads of a rehearsal: the machine, under a layer that keeps what was written; or the virtual
    accelerator, for the channels that it has."""
    stop_file: Path | None = None
    """A file whose presence stops all writes, beside the switch of the state folder; its folder must exist."""
    stop_channel: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """A channel that stops all writes, unless it is 0 and can be read."""
    gateways: Switch = True
    """Whether programs that speak Channel Access or PVAccess themselves find the broker on their own loopback."""
    preconditions: tuple[ConditionConfig, ...] = ()
    """What must hold before a run that may write, and before each of its writes."""
    abort_when: tuple[ConditionConfig, ...] = ()
    """What ends the writing of a run: stop actions of the channels that it wrote are performed, and nothing more."""
    on_failure: Literal["keep", "ask", "restore"] = "keep"
    """What follows a run that has written and failed: nothing; a run that would bring the channels back and asks; or
    that run at once, as the card has said."""
    stale_after: Seconds | None = None
    """A value with an older time stamp is not read but refused; None: however old."""
    concurrent_writers: Switch = False
    """Whether runs write at the same time where their channels differ; else one run at a time writes to a machine."""
    epics: EpicsConfig = EpicsConfig()
    pva: PvaConfig = PvaConfig()
    connectors: dict[str, Sealed] = Field(default_factory=dict[str, dict[str, Any]])
    """One block a plug-in, handed to it as `settings`; also to one that `archiver.type` names."""


class ServeConfig(Section):
    """How `serve` is reached."""

    tls_certificate: Path | None = None
    """PEM: the certificate with its chain. Without one, nobody but this machine is served."""
    tls_key: Path | None = None
    """PEM: the key of the certificate."""
    hosts: Addresses = ()
    """Names under which browsers and programs reach it, beside addresses, `localhost` and what `--host` says."""

    @model_validator(mode="after")
    def _both(self) -> ServeConfig:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: name both, or none")
        return self


class EpicsArchiverConfig(Section):
    """The EPICS Archiver Appliance."""

    url: Url | None = None
    """Where it answers, without `/retrieval`."""
    timeout: Seconds = 60.0
    """For one call, all its channels together."""


class ArchiverConfig(Section):
    """Where past values of channels come from."""

    type: str | None = None
    """`epics_archiver`, `mock_archiver`, or a connector that a plug-in registers; None: the control system itself."""
    epics_archiver: EpicsArchiverConfig = EpicsArchiverConfig()


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError("must be an address in numbers, such as 127.0.0.1; names are not looked up") from None


HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]


class ProxyConfig(Section):
    """A reverse proxy that has asked people who they are, and says so in a header."""

    header: HeaderName
    """Holds the name of the person. The proxy must remove it from what it is sent."""
    addresses: Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], BeforeValidator(_words)]
    """From where the proxy connects; the header from anywhere else is refused."""
    secret: Key | None = None
    """What the proxy proves itself with; without it, whoever can connect from its address can be anybody."""
    secret_header: HeaderName = "X-Proxy-Secret"  # noqa: S105 - the name of a header
    roles: dict[PersonName, tuple[Role, ...]] = Field(default_factory=dict[str, tuple[Role, ...]])
    """Of people whom `osprey-executor users` does not know."""

    @model_validator(mode="after")
    def _usable(self) -> ProxyConfig:
        if not self.addresses:
            raise ValueError("addresses must name from where the proxy connects")
        if self.header.lower() in {"authorization", "cookie", "host", self.secret_header.lower()}:
            raise ValueError(f"header cannot be {self.header}, which means something else")
        return self


class AccessConfig(Section):
    """Who is let in by the doors for more than one person."""

    proxy: ProxyConfig | None = None
    wrong_tokens: Count = 10
    """How many wrong tokens of one address are looked at within a minute; the rest is refused unseen."""


class AuditConfig(Section):
    """Where the heads of the audit trail go, so that nobody can make the whole of it anew."""

    heads: Path | None = None
    """A file outside of the state folder, best one that this account can only append to; one state folder each."""
    interval: Seconds = 300.0
    """Between two heads, where nothing happens that must last; decisions and writes are followed by one at once."""


class WebhookConfig(Section):
    """Somebody who is told over HTTP what happens to runs: a chat, an electronic logbook."""

    url: Url
    events: Annotated[tuple[Literal["pending", "expired", "writing", "ended"], ...], BeforeValidator(_words)] = (
        "pending",
        "expired",
        "writing",
        "ended",
    )
    """A card waits; it expired; a run that may write begins; such a run has ended."""
    secret: Key | None = None
    """Signs what is sent, so that who gets it knows from whom it is."""


class NotifyConfig(Section):
    """Who is told of cards and of runs that write, while the service is open. Nobody can decide by these ways."""

    webhooks: tuple[WebhookConfig, ...] = ()
    link: Url | None = None
    """Where people reach `osprey-executor serve`; links to runs begin with it."""
