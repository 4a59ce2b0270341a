"""The endpoint that a storyboard names: its variables looked up, and it and the settings made one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from pipelines.common.addresses import require_http_url
from pipelines.common.errors import Problem, StoryboardError
from pipelines.common.settings import NamedEndpoint, Settings, read_variable
from pipelines.endpoints.choice import chosen_dialect, with_listed_rate_limit
from pipelines.storyboard.format.endpoint_schema import EndpointModel, require_name
from pipelines.storyboard.model import BoardEndpoint, Place, Storyboard, Variable
from pipelines.storyboard.sounds import Locate

# Returns a variable's value; None where it is not set.
LookUp = Callable[[str], str | None]


def board_endpoint(model: EndpointModel | None, locate: Locate) -> BoardEndpoint | None:
    """Return the endpoint that a storyboard names, as it is written."""
    if model is None:
        return None
    return BoardEndpoint(
        url=model.url,
        dialect=model.dialect,
        account=model.account,
        gateway=model.gateway,
        token=model.token,
        rate_limit=model.rate_limit,
        price_usd=model.price,
        places={key: locate(("endpoint", key)) for key in model.model_fields_set},
    )


def settings_for(board: Storyboard, settings: Settings, *, look_up: LookUp = read_variable) -> Settings:
    """Return the settings of a run of a storyboard: its own endpoint holds where they name none.

    Its rate limit and price hold where neither an option nor a variable sets another, then the price list's rate limit.

    Args:
        board: the storyboard.
        settings: from options, the environment and .env.
        look_up: finds the variables that it names.

    Raises:
        StoryboardError: a variable is not set, or what it holds cannot be used; each at its place.
        UsageError: there is no such dialect as the settings name.
    """
    if board.endpoint is not None and settings.endpoint is None:
        named = _Naming(board.path, board.endpoint, look_up).resolve()
        settings = _with_limits(settings.asking_named(named), board.endpoint)
    # Before anything else: a run would find out only once it has begun.
    chosen_dialect(settings)
    return with_listed_rate_limit(settings)


def settings_of_boards(boards: Iterable[Storyboard], settings: Settings) -> list[Settings]:
    """Return the settings of a run of each of several storyboards; see `settings_for`.

    Raises:
        StoryboardError: the problems of all of them.
        UsageError: see `settings_for`.
    """
    found: list[Settings] = []
    problems: list[Problem] = []
    for board in boards:
        try:
            found.append(settings_for(board, settings))
        except StoryboardError as exc:
            problems.extend(exc.problems)
    if problems:
        raise StoryboardError(problems)
    return found


def settings_to_look(board: Storyboard, settings: Settings) -> Settings:
    """Return the settings of a command that asks no endpoint: a storyboard's own need not be one that can be asked."""
    try:
        return settings_for(board, settings)
    except StoryboardError:
        return settings.asking_named(NamedEndpoint(board.path))


def _with_limits(settings: Settings, endpoint: BoardEndpoint) -> Settings:
    limits = {"rate_limit": endpoint.rate_limit, "price_usd": endpoint.price_usd}
    update = {
        name: limit for name, limit in limits.items() if limit is not None and name not in settings.model_fields_set
    }
    return settings.model_copy(update=update)


@dataclass
class _Naming:
    """The endpoint of a storyboard, as its variables are looked up."""

    file: Path
    endpoint: BoardEndpoint
    look_up: LookUp
    variables: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def resolve(self) -> NamedEndpoint:
        written = self.endpoint
        url = self._value("url", require_http_url)
        account, gateway = self._value("account", require_name), self._value("gateway", require_name)
        token = self._value("token")
        if self.problems:
            raise StoryboardError(sorted(self.problems, key=lambda problem: problem.position))
        return NamedEndpoint(
            self.file,
            url if account is None else _address_of(account, gateway),
            written.dialect,
            None if token is None else SecretStr(token),
            written.token.name if written.token else "",
            tuple(dict.fromkeys(self.variables)),
        )

    def _value(self, key: str, require: Callable[[str], Any] = str) -> str | None:
        """Return the value of a key, or of the variable that stands there; of a wrong one, None and a problem."""
        value: str | Variable | None = getattr(self.endpoint, key)
        if not isinstance(value, Variable):
            return value
        self.variables.append(value.name)
        found = self.look_up(value.name)
        if found is None:
            self._complain(key, f"the variable {value.name} is not set; set it in the environment or in .env here")
            return None
        try:
            require(found)
        except ValueError as exc:
            # What it holds may be a secret, and is not said.
            self._complain(key, f"what the variable {value.name} holds {exc}")
            return None
        return found

    def _complain(self, key: str, message: str) -> None:
        place = self.endpoint.places.get(key, Place(0, 0, f"endpoint.{key}"))
        cure = f"{message}; or name another endpoint by --endpoint or STORYREEL_ENDPOINT; nothing was sent"
        self.problems.append(place.problem(self.file, cure))


def _address_of(account: str, gateway: str | None) -> str:
    """Return the address of a Cloudflare account, or of one of its AI Gateways."""
    if gateway is not None:
        return f"https://gateway.ai.cloudflare.com/v1/{account}/{gateway}"
    return f"https://api.cloudflare.com/client/v4/accounts/{account}"
