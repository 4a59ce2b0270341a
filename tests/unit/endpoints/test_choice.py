"""Settings become a dialect, and the name by which the ledger knows the endpoint."""

from pathlib import Path
from typing import Any

import pytest

from pipelines.common.errors import UsageError
from pipelines.common.settings import Settings, load_settings
from pipelines.endpoints.choice import chosen_dialect, dialect_to_tell, endpoint_name, with_listed_rate_limit


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder, with no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("ENDPOINT", "DIALECT"):
        monkeypatch.delenv(f"STORYREEL_{name}", raising=False)


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        (None, "embedded"),
        ("http://flux.test", "http://flux.test"),
        ("http://flux.test/", "http://flux.test"),
        ("https://amy:hunter2@flux.test:8443/v1/?key=hunter2#top", "https://flux.test:8443/v1"),
    ],
)
def test_the_ledger_names_an_endpoint_without_secrets(endpoint: str | None, name: str) -> None:
    """One name for one server, or it would be granted its limit twice."""
    settings = load_settings({"endpoint": endpoint, "dialect": "flux"})

    assert endpoint_name(settings) == name


def test_an_unknown_dialect_is_named_by_its_option() -> None:
    """With the one that was meant."""
    settings = load_settings({"dialect": "fluks"})

    with pytest.raises(UsageError) as caught:
        chosen_dialect(settings)

    assert str(caught.value) == "--dialect: unknown dialect 'fluks'; did you mean 'flux'?"


@pytest.mark.parametrize("by_file", [False, True])
def test_an_unknown_dialect_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by_file: bool
) -> None:
    """Wherever that is set: in the environment or in .env."""
    if by_file:
        (tmp_path / ".env").write_text("STORYREEL_DIALECT=fluks\n")
    else:
        monkeypatch.setenv("STORYREEL_DIALECT", "fluks")

    with pytest.raises(UsageError, match=r"^STORYREEL_DIALECT: unknown dialect 'fluks'; did you mean 'flux'\?$"):
        chosen_dialect(load_settings())


def test_a_dialect_that_the_address_tells_need_not_be_told() -> None:
    """Any other has to be named beside it."""
    told = [dialect_to_tell(name, "http://flux.test") for name in (None, "flux", "openai")]

    assert told == [None, None, "openai"]


@pytest.mark.parametrize(
    ("given", "rate_limit"),
    [
        ({"dialect": "openai", "model": "gpt-image-1"}, 5),
        ({"dialect": "openai", "model": "gpt-image-1", "rate_limit": 60}, 60),
        ({"dialect": "openai", "model": "gpt-image-1", "rate_limit": 720}, 720),
        ({"dialect": "openai", "model": "a-model-of-my-own"}, 720),
    ],
)
def test_a_price_list_sets_the_rate_limit_where_nobody_does(given: dict[str, Any], rate_limit: int) -> None:
    """One that is given holds, though it be the usual one."""
    settings = Settings(endpoint="https://sells.test", **given)

    assert with_listed_rate_limit(settings).rate_limit == rate_limit
