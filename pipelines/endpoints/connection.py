"""The endpoint that settings name, and the bounds of an attempt there, as the client has them."""

from pipelines.common.settings import Settings
from pipelines.endpoints.choice import chosen_dialect, chosen_model
from pipelines.endpoints.client import Endpoint, Timeouts


def endpoint_at(url: str, settings: Settings) -> Endpoint:
    """Return the endpoint that settings name by `url`, with its token."""
    token = settings.api_token.get_secret_value() if settings.api_token else None
    return Endpoint(url, chosen_dialect(settings), chosen_model(settings), token, settings.token_name)


def timeouts_of(settings: Settings) -> Timeouts:
    """Return the bounds of one attempt."""
    return Timeouts(settings.connect_timeout_s, settings.read_timeout_s, settings.total_timeout_s)
