"""Commands that are recommended: quoted for a shell, with what the run was given, without secrets."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli.hints import next_command, options_to_repeat
from pipelines.common.settings import Settings

URL = "https://flux.test"


@pytest.mark.parametrize("name", ["film.yaml", "my film.yaml", "it's; $HOME.yaml", "b\u00fcro.yaml", "a\nb.yaml"])
def test_a_shell_reads_the_same_words(name: str) -> None:
    """Whatever is in them."""
    command = next_command("review", Path(name), {"output": name, "model": None})

    assert shlex.split(command) == ["storyreel", "review", name, "--output", name]


def test_a_name_that_looks_like_an_option_is_none() -> None:
    """Neither as the storyboard's nor as a folder's."""
    assert next_command("plan", Path("-x.yaml"), {"output": "-y"}) == "storyreel plan ./-x.yaml --output=-y"


@pytest.mark.parametrize(
    ("given", "follows", "repeated"),
    [
        ({}, False, {}),
        ({}, True, {"model": "sketch"}),
        ({"endpoint": URL, "budget_usd": "1", "output": "films"}, False, {"endpoint": URL, "output": "films"}),
        ({"endpoint": URL, "model": "sketch"}, False, {"endpoint": URL, "model": "sketch"}),
        ({"endpoint": "https://me:pw@flux.test", "model": "flux-2", "output": "films"}, False, {"output": "films"}),
        ({"endpoint": "https://flux.test/?key=1", "model": "sketch"}, False, {"model": "sketch"}),
        ({"endpoint": URL, "dialect": "flux"}, False, {"endpoint": URL}),
        ({"endpoint": URL, "dialect": "other"}, False, {"endpoint": URL, "dialect": "other"}),
        ({"endpoint": "https://me:pw@flux.test", "dialect": "other"}, False, {}),
    ],
)
def test_what_a_run_was_given_is_repeated(given: dict[str, Any], follows: bool, repeated: dict[str, Any]) -> None:
    """What says which takes it was about; of an address with a secret, nothing: such a run is followed.

    A dialect only where the address does not tell it.
    """
    settings = Settings(**{name: given.get(name) for name in ("endpoint", "dialect", "model")})

    options = options_to_repeat(given, settings, follows=follows)

    assert {name: value for name, value in options.items() if value is not None} == repeated
