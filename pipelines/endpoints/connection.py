"""The endpoint that settings name, as the client asks it."""

from pipelines.common.settings import Settings
from pipelines.endpoints.choice import chosen_dialect, chosen_model
from pipelines.endpoints.client import Endpoint


def endpoint_at(url: str, settings: Settings) -> Endpoint:
    """Return the endpoint that settings name by `url`, with its token."""
    token = settings.api_token.get_secret_value() if settings.api_token else None
    return Endpoint(url, chosen_dialect(settings), chosen_model(settings), token, settings.token_name)
