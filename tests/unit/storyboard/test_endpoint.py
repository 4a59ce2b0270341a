"""A storyboard names its endpoint: what is asked then and with which token, what wins over it, what is refused."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.common.errors import StoryboardError
from pipelines.common.settings import Settings
from pipelines.storyboard.endpoint import settings_for, settings_of_boards, settings_to_look
from pipelines.storyboard.loader import load_storyboard
from tests.support.dialects import tiny_dialect
from tests.unit.storyboard.problems import Write, problems

URL = "https://flux.test/v1"
VARIABLES = {"ADDRESS": URL, "TOKEN": "t0ken", "ACCOUNT": "0af", "PATH_OF": "a/b"}
ANOTHER = "or name another endpoint by --endpoint or STORYREEL_ENDPOINT; nothing was sent"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in a folder without a .env, and let there be the dialect whose endpoints have accounts."""
    monkeypatch.chdir(tmp_path)
    dialects = tmp_path / "dialects"
    dialects.mkdir()
    with tiny_dialect(dialects, name="cloudflare"):
        yield


def settled(path: Path, **settings: object) -> Settings:
    """Return the settings of a run of a storyboard, which are given some, with `VARIABLES` in the environment."""
    return settings_for(load_storyboard(path), Settings(**settings), look_up=VARIABLES.get)  # type: ignore[arg-type]


def refused(path: Path) -> list[str]:
    """Return the lines that a storyboard's endpoint is refused with as it is looked up, without the folder."""
    with pytest.raises(StoryboardError) as caught:
        settled(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("named", "url", "dialect"),
    [
        (URL, URL, None),
        ("$ADDRESS", URL, None),
        ("{url: $ADDRESS, dialect: flux}", URL, "flux"),
        (
            "{dialect: cloudflare, account: $ACCOUNT}",
            "https://api.cloudflare.com/client/v4/accounts/0af",
            "cloudflare",
        ),
        (
            "{dialect: cloudflare, account: 0af, gateway: film}",
            "https://gateway.ai.cloudflare.com/v1/0af/film",
            "cloudflare",
        ),
    ],
)
def test_a_storyboard_names_its_endpoint(write: Write, named: str, url: str, dialect: str | None) -> None:
    """By its address, by a variable that holds it, or by an account; it is no sketch then."""
    settings = settled(write(f"endpoint: {named}\nprompts: [a]\n"))

    assert (settings.endpoint, settings.dialect) == (url, dialect)
    assert (settings.effective_model, settings.simulated) == ("flux-1-schnell", False)


def test_it_gets_the_token_that_it_names_and_no_other(write: Write) -> None:
    """STORYREEL_API_TOKEN is for endpoints that its owner names."""
    own, none = (
        settled(write(f"endpoint: {{url: {URL}{token}}}\nprompts: [a]\n"), api_token="mine")
        for token in (", token: $TOKEN", "")
    )

    assert own.api_token is not None
    assert (own.api_token.get_secret_value(), own.token_name) == ("t0ken", "TOKEN")
    assert none.api_token is None
    assert "t0ken" not in repr(own) + repr(own.named_endpoint)


def test_what_the_settings_name_wins(write: Write) -> None:
    """Their endpoint gets their token; the storyboard's variables need not be set then."""
    path = write("endpoint: {url: $UNSET, token: $TOKEN, rate_limit: 60}\nprompts: [a]\n")

    settings = settled(path, endpoint="http://127.0.0.1:8787", api_token="mine")

    assert settings == Settings(endpoint="http://127.0.0.1:8787", api_token="mine")


def test_its_limits_hold_where_no_others_are_set(write: Write) -> None:
    """Each by itself; and so does its dialect."""
    path = write(f"endpoint: {{url: {URL}, dialect: cloudflare, rate_limit: 60, price: 0.04}}\nprompts: [a]\n")

    own, told = settled(path), settled(path, rate_limit=720, price_usd="0.01", dialect="flux")

    assert (own.rate_limit, own.price_usd, own.dialect) == (60, Decimal("0.04"), "cloudflare")
    assert (told.rate_limit, told.price_usd, told.dialect) == (720, Decimal("0.01"), "flux")


def test_a_variable_is_looked_up_in_the_environment_and_then_in_the_env_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As settings are; capitals count."""
    (tmp_path / ".env").write_text("ADDRESS=http://file.test\nTOKEN=of-the-file\nADDRess=http://other.test\n")
    monkeypatch.setenv("ADDRESS", URL)
    board = load_storyboard(write("endpoint: {url: $ADDRESS, token: $TOKEN}\nprompts: [a]\n"))

    settings = settings_for(board, Settings())

    assert settings.api_token is not None
    assert (settings.endpoint, settings.api_token.get_secret_value()) == (URL, "of-the-file")


def test_variables_that_are_not_set_are_named_at_their_places(write: Write) -> None:
    """All at once, where the endpoint is to be asked."""
    path = write("endpoint:\n  url: $NOWHERE\n  token: $NOTHING\nprompts: [a]\n")

    assert refused(path) == [
        f"board.yaml:2:8: endpoint.url: the variable NOWHERE is not set; set it in the environment or in .env here; "
        f"{ANOTHER}",
        f"board.yaml:3:10: endpoint.token: the variable NOTHING is not set; set it in the environment or in .env here; "
        f"{ANOTHER}",
    ]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("$TOKEN", "12: endpoint: what the variable TOKEN holds must be an http:// or https:// address"),
        (
            "{dialect: cloudflare, account: $PATH_OF}",
            "43: endpoint.account: what the variable PATH_OF holds must be up to 64 letters, digits, - and _",
        ),
    ],
)
def test_what_a_variable_holds_is_checked_and_not_said(write: Write, named: str, said: str) -> None:
    """It may be a secret: a storyboard may name any variable."""
    path = write(f"endpoint:  {named}\nprompts: [a]\n")

    assert refused(path) == [f"board.yaml:1:{said}; {ANOTHER}"]


def test_several_storyboards_are_refused_at_once(tmp_path: Path) -> None:
    """Before the first of them is rendered."""
    boards = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"endpoint: ${name.upper()}\nprompts: [a]\n")
        boards.append(load_storyboard(path))

    with pytest.raises(StoryboardError) as caught:
        settings_of_boards(boards, Settings())

    assert [problem.message.split()[2] for problem in caught.value.problems] == ["ONE", "TWO"]


def test_a_command_that_asks_nothing_needs_none_of_its_variables(write: Write) -> None:
    """It knows all the same that what the storyboard has are no sketches."""
    board = load_storyboard(write("endpoint: {url: $NOWHERE, token: $NOTHING}\nprompts: [a]\n"))

    settings = settings_to_look(board, Settings(api_token="mine"))

    assert (settings.endpoint, settings.api_token) == (None, None)
    assert (settings.effective_model, settings.simulated) == ("flux-1-schnell", False)


@pytest.mark.parametrize(
    ("named", "variables", "notice"),
    [
        (f"{{url: {URL}, token: $TOKEN}}", "", "board.yaml: names the endpoint, flux.test; TOKEN is sent there"),
        (
            "{dialect: cloudflare, account: $ACCOUNT, gateway: $ACCOUNT, token: $TOKEN}",
            "",
            "board.yaml: names the endpoint, gateway.ai.cloudflare.com; ACCOUNT and TOKEN are sent there",
        ),
        (URL, "", None),
    ],
)
def test_it_is_said_which_variable_goes_where(write: Write, named: str, variables: str, notice: str | None) -> None:
    """A storyboard from others may name any; each is named once."""
    path = write(f"endpoint: {named}\nprompts: [a]\n")

    found = settled(path).named_endpoint

    assert found is not None
    assert found.notice == (notice and f"{path.parent}/{notice}")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("{token: $TOKEN}", "1:11: endpoint: lacks url, the address of the image API; add it"),
        ("ftp://x", "1:11: endpoint: must be an http:// or https:// address"),
        ("https://$HOST/v1", "1:11: endpoint: a variable must be the whole value, like $NAME, got 'https://$HOST/v1'"),
        ("{url: '${ADDRESS}'}", "1:17: endpoint.url: a variable must be the whole value, like $NAME, got '${ADDRESS}'"),
        (
            "https://amy:pw@x.test",
            "1:11: endpoint: holds a user and a password, and storyboards are passed on; write $NAME of a variable "
            "that holds all of it",
        ),
        ("{urll: https://x.test}", "1:12: endpoint.urll: unknown key; did you mean 'url'?"),
        (
            "{url: https://x.test, dialect: fluks}",
            "1:42: endpoint.dialect: unknown value 'fluks'; did you mean 'flux'?",
        ),
        ("{url: https://x.test, rate_limit: 0}", "1:45: endpoint.rate_limit: must be between 1 and 1000000, got 0"),
        (
            "{url: https://x.test, dialect: cloudflare, account: 0af}",
            "1:63: endpoint.account: cannot stand beside url: it makes the address; keep one of them",
        ),
        (
            "{account: 0af}",
            "1:21: endpoint.account: is one of Cloudflare; write dialect: cloudflare beside it, or a url in its place",
        ),
        ("{url: https://x.test, gateway: film}", "1:42: endpoint.gateway: is one of an account; add account"),
        (
            "{dialect: cloudflare, account: ../x}",
            "1:42: endpoint.account: must be up to 64 letters, digits, - and _",
        ),
    ],
)
def test_what_cannot_be_an_endpoint_is_refused_at_its_place(write: Write, named: str, said: str) -> None:
    """With its cure."""
    assert problems(write(f"endpoint: {named}\nprompts: [a]\n")) == [f"board.yaml:{said}"]


@pytest.mark.parametrize("token", ["sk-hunter2", "$TOKEN-hunter2", "hunter2", "5", "[hunter2]"])
def test_a_token_is_no_part_of_a_storyboard(write: Write, token: str) -> None:
    """Storyboards are passed on; what stands there is not said again."""
    (said,) = problems(write(f"endpoint: {{url: {URL}, token: {token}}}\nprompts: [a]\n"))

    assert said.startswith("board.yaml:1:46: endpoint.token: must name the variable that holds the token, like $CLOUD")
    assert "hunter2" not in said
