"""Settings from options, STORYREEL_* variables and a .env file; secrets never print."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from pipelines.common.addresses import host_of, is_loopback, require_http_url, without_secrets
from pipelines.common.budgets import OnExceed
from pipelines.common.errors import UsageError
from pipelines.common.quality import Quality
from pipelines.common.requirements import requirement
from pipelines.common.suggestions import plain_amount

DEFAULT_MODEL = "flux-1-schnell"
SKETCH_MODEL = "sketch"
EMBEDDED_ENDPOINT = "embedded"
DEFAULT_RATE_LIMIT = 720
DEFAULT_CONCURRENCY = 128
TOKEN_VARIABLE = "STORYREEL_API_TOKEN"  # noqa: S105
_PREFIX = "STORYREEL_"
_SECRETS = ("api_token", "database_url", "serve_token")
# Nothing waits longer; infinity overflows a socket's timeout.
_WEEK_S = 7 * 24 * 3600


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be a name of printable characters")
    return text


class _FromEnvironment(BaseSettings):
    """Settings whose values come from keywords, else from variables, else from .env."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_file=".env", extra="ignore", frozen=True)


@dataclass(frozen=True, slots=True)
class NamedEndpoint:
    """An endpoint that a storyboard names, with the values of its variables.

    Attributes:
        file: the storyboard.
        url: its address; None where that was not looked up, for a command that asks nothing.
        dialect: the name of the language that it speaks; None to go by its address.
        token: the only one that it is sent; None for none.
        token_name: the variable that holds it; empty for none.
        variables: all whose values are sent there.
    """

    file: Path
    url: str | None = None
    dialect: str | None = None
    token: SecretStr | None = None
    token_name: str = ""
    variables: tuple[str, ...] = ()

    @property
    def notice(self) -> str | None:
        """What is to be known before anything is sent, for a storyboard from others may name any variable."""
        if not self.variables or self.url is None:
            return None
        names = f"{self.file}: names the endpoint, {host_of(self.url)}"
        verb = "is" if len(self.variables) == 1 else "are"
        return f"{names}; {' and '.join(self.variables)} {verb} sent there"


class Settings(_FromEnvironment):
    """The settings of a run: all that decides what it does, besides the storyboard.

    Attributes:
        endpoint: address of the image API; None means the embedded one.
        dialect: the name of the language that it speaks; None to go by its address.
        price_usd: the most that an image may cost there, for models that no price list has; None for no such bound.
        lane: the name of the address that this machine sends from, where machines share a ledger and each has an
            address, and so a rate limit, of its own; empty: they share one limit.
        model: the model asked for; None means `flux-1-schnell`, or `sketch` for the embedded endpoint.
        output: the folder that holds a folder for each storyboard, and the ledger.
        root: the folder from which relative storyboards and outputs are found; None means the working folder.
        quality: of the films, whatever the storyboard says; None for what it says.
        budget_usd: hard cap for one run, beside the storyboard's own; the smaller holds.
        budget_daily_usd: hard cap for all runs in the same ledger together, on one day, UTC.
        on_exceed: what to do at a cap, where the storyboard does not say: stop or refuse; see `Budgets`.
        database_url: where the ledger is; None means SQLite in `output`. May hold a password.
        api_token: sent as a bearer token.
        http_token: send it, or a password in the address, in clear over plain http to other machines too.
        rate_limit: requests a minute that the endpoint allows.
        concurrency: requests in flight at most.
        connect_timeout_s: the longest that one attempt may take to connect.
        read_timeout_s: the longest silence of an endpoint in one attempt.
        total_timeout_s: the longest that one attempt may take in all.
        max_body_mib: the largest answer that is read.
        max_resends: attempts that may cost money, beyond the first, for each prompt of a frame.
        max_refusals: how often one prompt may be refused before its fallbacks are tried.
        max_rate_limited: how often in a row one frame may be answered 429 before the run stops.
        max_connects: how often in a row one frame may fail to connect before the run stops.
        retry_quota: re-sends in the whole run; None means as many as there are takes to generate, at least 20.
        max_retry_after_s: the longest wait that an endpoint may ask for.
        max_wait_s: how long to wait for takes that another run is generating.
        stop_patience_s: how long a run that is stopped waits for what is in flight.
        strict: notes on the storyboard are errors.
    """

    endpoint: Annotated[str, AfterValidator(require_http_url)] | None = None
    dialect: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    # No image costs more; see the dialects.
    price_usd: Annotated[Decimal, Field(ge=0, le=1000)] | None = None
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    lane: Annotated[str, Field(max_length=64), AfterValidator(_printable)] = ""
    output: Path = Path("outputs")
    root: Annotated[Path, AfterValidator(_absolute)] | None = None
    quality: Quality | None = None
    # The ledger holds 9 million of each currency.
    budget_usd: Annotated[Decimal, Field(ge=0, le=1_000_000)] | None = None
    budget_daily_usd: Annotated[Decimal, Field(ge=0, le=1_000_000)] | None = None
    on_exceed: OnExceed | None = None
    database_url: SecretStr | None = None
    api_token: SecretStr | None = None
    http_token: bool = False
    rate_limit: int = Field(DEFAULT_RATE_LIMIT, ge=1, le=1_000_000)
    concurrency: int = Field(DEFAULT_CONCURRENCY, ge=1, le=1000)
    connect_timeout_s: float = Field(10, gt=0, le=_WEEK_S)
    read_timeout_s: float = Field(90, gt=0, le=_WEEK_S)
    total_timeout_s: float = Field(180, gt=0, le=_WEEK_S)
    max_body_mib: int = Field(32, ge=1, le=1024)
    max_resends: int = Field(3, ge=0, le=100)
    max_refusals: int = Field(2, ge=1, le=100)
    max_rate_limited: int = Field(10, ge=1, le=1000)
    max_connects: int = Field(5, ge=1, le=1000)
    retry_quota: Annotated[int, Field(ge=0)] | None = None
    max_retry_after_s: float = Field(900, ge=0, le=_WEEK_S)
    max_wait_s: float = Field(3600, ge=0, le=_WEEK_S)
    # Prefect kills a run 30 s after it asked it to end.
    stop_patience_s: float = Field(25, ge=0, le=_WEEK_S)
    strict: bool = False
    # No setting: the endpoint that a storyboard names, where that is the one to ask.
    _named: NamedEndpoint | None = PrivateAttr(None)

    def locate(self, path: Path) -> Path:
        """Return `path`, found from `root` if it is relative and there is a root."""
        return self.root / path if self.root else path

    def asking(self, endpoint: str, *, dialect: str | None, model: str | None) -> Self:
        """Return these settings with another endpoint, dialect and model; see their attributes."""
        return self.model_copy(update={"endpoint": endpoint, "dialect": dialect, "model": model})

    def asking_named(self, named: NamedEndpoint) -> Self:
        """Return these settings with the endpoint that a storyboard names, and with no token but that one's."""
        dialect = self.dialect or named.dialect
        settings = self.model_copy(update={"endpoint": named.url, "dialect": dialect, "api_token": named.token})
        settings._named = named
        return settings

    @property
    def named_endpoint(self) -> NamedEndpoint | None:
        """The endpoint, where the storyboard names it: commands that follow ask it as that says, and by no option."""
        return self._named

    @property
    def token_name(self) -> str:
        """What people call the variable that holds the endpoint's token."""
        return self._named.token_name if self._named else TOKEN_VARIABLE

    def name_of(self, name: str) -> str:
        """Return what the user calls a setting that was given: its variable where that gave it, else its option."""
        value = getattr(self, name)
        sources = EnvSettingsSource(type(self)), DotEnvSettingsSource(type(self))
        by_variable = any(source().get(name) == value for source in sources)
        return f"{_PREFIX}{name.upper()}" if by_variable else option_name(name)

    @property
    def effective_model(self) -> str:
        """The model that this run asks for, by its short name, which request keys and the ledger have."""
        return short_model(self.model) if self.model else (SKETCH_MODEL if self.embedded else DEFAULT_MODEL)

    @property
    def embedded(self) -> bool:
        """Whether neither these settings nor the storyboard names an endpoint."""
        return self.endpoint is None and self._named is None

    @property
    def simulated(self) -> bool:
        """Whether the run generates sketches: their costs are made up and never summed with real ones."""
        return self.embedded or self.effective_model == SKETCH_MODEL

    @property
    def effective_database_url(self) -> str:
        """The ledger's address for SQLAlchemy. It may hold a password: never print it."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        # Absolute, so that it stays the same file if the working folder changes.
        return f"sqlite:///{self.output.absolute() / 'storyreel.db'}"

    def require_secrets_hidden(self) -> None:
        """Require that neither the token nor a password in the address can be read on the way to the endpoint.

        Raises:
            UsageError: they would be sent over plain http to another machine.
        """
        if self.endpoint is None or self.http_token:
            return
        url = urlsplit(self.endpoint)
        if url.scheme != "http" or is_loopback(url.hostname or ""):
            return
        sent = [
            *([self.token_name] if self.api_token else []),
            *(["the user and password in the address"] if "@" in url.netloc else []),
        ]
        if sent:
            raise UsageError(
                f"{without_secrets(self.endpoint)}: {' and '.join(sent)} would cross the network in clear; use https, "
                "or set STORYREEL_HTTP_TOKEN=1 if you trust every machine on the way; nothing was sent"
            )

    def describe_env_file(self) -> str | None:
        """Return that the working folder's .env names the endpoint, and if so, whether a token goes there with it."""
        variables, file = EnvSettingsSource(type(self))(), DotEnvSettingsSource(type(self))()
        if self.endpoint is None or "endpoint" in variables or file.get("endpoint") != self.endpoint:
            return None
        names = f"{Path('.env').absolute()}: names the endpoint, {without_secrets(self.endpoint)}"
        if not self.api_token or self.api_token.get_secret_value() == file.get("api_token"):
            return names
        return f"{names}; {TOKEN_VARIABLE}, which is set elsewhere, is sent there"


class LogLevel(StrEnum):
    """The least level that the command logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _small_letters(value: Any) -> Any:
    # Python's own names of the levels are in capitals.
    return value.lower() if isinstance(value, str) else value


class LogSettings(_FromEnvironment):
    """The settings of the command's log; apart, because other programs that start runs have logs of their own.

    Attributes:
        log_level: the least level that is logged.
    """

    log_level: Annotated[LogLevel, BeforeValidator(_small_letters)] = LogLevel.WARNING


def _sendable(token: SecretStr) -> SecretStr:
    if not re.fullmatch("[!-~]+", token.get_secret_value()):
        raise ValueError("must be letters, digits and signs, without spaces")
    return token


class ServeSettings(_FromEnvironment):
    """The settings of the served API; apart, because no run has them.

    Attributes:
        serve_token: the bearer token that its requests must carry; None asks for none.
    """

    serve_token: Annotated[SecretStr, AfterValidator(_sendable)] | None = None


S = TypeVar("S", bound=_FromEnvironment)


def short_model(model: str) -> str:
    """Return a model's short name: `flux-1-schnell` for Workers AI's `@cf/black-forest-labs/flux-1-schnell`."""
    # Other sellers' names may hold slashes too, and are short already.
    return model.rpartition("/")[2] if model.startswith("@cf/") else model


def option_name(name: str) -> str:
    """Return the option that sets a setting; options are named without the unit: `--budget` for `budget_usd`."""
    return f"--{name.removesuffix('_usd').replace('_', '-')}"


def load_settings(
    overrides: Mapping[str, Any] | None = None, *, name_of: Callable[[str], str] = option_name
) -> Settings:
    """Read the settings from the environment and .env; `overrides` that are not None win.

    Args:
        overrides: values by the names of the settings.
        name_of: returns what the user calls an override of this name, for errors.

    Raises:
        UsageError: values are wrong, and the message has a line for each, with its variable or option; or .env is not
            text.
    """
    # click passes None for an option that was not given: it must not hide a variable.
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    settings = _read(Settings, given, names={name: name_of(name) for name in given})
    # Once, here: all other code may take the path as it is.
    return settings.model_copy(update={"output": settings.locate(settings.output)})


def read_variable(name: str) -> str | None:
    """Return the value of any variable: the environment's, else that in .env; None where it is not set, or empty."""
    if name in os.environ:
        return os.environ[name] or None
    # Here capitals count, as in the environment.
    return DotEnvSettingsSource(LogSettings, case_sensitive=True).env_vars.get(name) or None


def load_log_level() -> LogLevel:
    """Read STORYREEL_LOG_LEVEL from the environment and .env.

    Raises:
        UsageError: it is none of the levels, which the message names; or .env is not text.
    """
    return _read(LogSettings, {}, names={}).log_level


def load_serve_token() -> SecretStr | None:
    """Read STORYREEL_SERVE_TOKEN from the environment and .env.

    Raises:
        UsageError: no HTTP header can carry it; or .env is not text.
    """
    return _read(ServeSettings, {}, names={}).serve_token


def _read(kind: type[S], given: Mapping[str, Any], *, names: Mapping[str, str]) -> S:
    try:
        return kind(**given)
    except UnicodeDecodeError as exc:
        raise UsageError(f".env: cannot be read: {exc}; save it as UTF-8") from exc
    except ValidationError as exc:
        raise UsageError("\n".join(_complaint(error, names) for error in exc.errors())) from exc


def _complaint(error: ErrorDetails, names: Mapping[str, str]) -> str:
    """Return a line about one wrong value; `names` holds what the user calls those that are no variables."""
    name = str(error["loc"][0])
    place = names.get(name, f"{_PREFIX}{name.upper()}")
    message = f"{place}: {requirement(error)}"
    # An address may hold a password before its @, and a key in its query.
    if name in _SECRETS or re.search(r"@|\?.*=", str(error["input"])):
        return message
    amount = plain_amount(str(error["input"])) if name.endswith("_usd") else None
    return f"{message}, got {error['input']!r}{f'; write {amount}' if amount else ''}"
