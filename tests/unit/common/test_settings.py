"""Settings come from options, variables and .env, in that order; errors name them, and secrets never print."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from pipelines.common.budgets import OnExceed
from pipelines.common.errors import UsageError
from pipelines.common.quality import Quality
from pipelines.common.settings import LogSettings, ServeSettings, Settings, load_log_level, load_settings

DEFAULTS = {
    "endpoint": None,
    "dialect": None,
    "price_usd": None,
    "model": None,
    "lane": "",
    "output": Path("outputs"),
    "root": None,
    "quality": None,
    "budget_usd": None,
    "budget_daily_usd": None,
    "on_exceed": None,
    "database_url": None,
    "api_token": None,
    "http_token": False,
    "rate_limit": 720,
    "concurrency": 128,
    "connect_timeout_s": 10,
    "read_timeout_s": 90,
    "total_timeout_s": 180,
    "max_body_mib": 32,
    "max_resends": 3,
    "max_refusals": 2,
    "max_rate_limited": 10,
    "max_connects": 5,
    "retry_quota": None,
    "max_retry_after_s": 900,
    "max_wait_s": 3600,
    "stop_patience_s": 25,
    "strict": False,
}
# A value that each setting takes, as an environment gives it, and one that it must not.
GOOD_AND_BAD: dict[str, tuple[str, Any, str]] = {
    "endpoint": ("https://flux.test/v1", "https://flux.test/v1", "ftp://flux.test"),
    "dialect": ("flux", "flux", ""),
    "price_usd": ("0.04", Decimal("0.04"), "-0.01"),
    "model": ("other", "other", ""),
    "lane": ("north", "north", "n\north"),
    "quality": ("draft", Quality.DRAFT, "fine"),
    "budget_usd": ("0.25", Decimal("0.25"), "-0.01"),
    "budget_daily_usd": ("5", Decimal(5), "all"),
    "on_exceed": ("refuse", OnExceed.REFUSE, "ask"),
    "http_token": ("1", True, "perhaps"),
    "rate_limit": ("1", 1, "0"),
    "concurrency": ("1000", 1000, "1001"),
    "connect_timeout_s": ("0.5", 0.5, "0"),
    "read_timeout_s": ("604800", 604800, "inf"),
    "total_timeout_s": ("1", 1, "soon"),
    "max_body_mib": ("1024", 1024, "1025"),
    "max_resends": ("0", 0, "-1"),
    "max_refusals": ("1", 1, "0"),
    "max_rate_limited": ("1", 1, "0"),
    "max_connects": ("1", 1, "0"),
    "retry_quota": ("0", 0, "-1"),
    "max_retry_after_s": ("0", 0, "inf"),
    "max_wait_s": ("0", 0, "nan"),
    "stop_patience_s": ("0", 0, "-1"),
    "strict": ("1", True, "perhaps"),
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder, with no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, *LogSettings.model_fields, *ServeSettings.model_fields):
        monkeypatch.delenv(f"STORYREEL_{name.upper()}", raising=False)


def test_without_any_setting_there_are_defaults() -> None:
    """Every setting has the default that is documented."""
    assert load_settings().model_dump() == DEFAULTS


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_a_variable_sets_what_it_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is called STORYREEL_ and the setting's name; no other setting changes."""
    text, value, _ = GOOD_AND_BAD[name]
    monkeypatch.setenv(f"STORYREEL_{name.upper()}", text)

    assert load_settings().model_dump() == {**DEFAULTS, name: value}


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_a_bad_variable_is_named_with_its_value(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """With the name that it has in the environment."""
    bad = GOOD_AND_BAD[name][2]
    monkeypatch.setenv(f"STORYREEL_{name.upper()}", bad)

    with pytest.raises(UsageError) as caught:
        load_settings()

    assert str(caught.value).startswith(f"STORYREEL_{name.upper()}: ")
    assert str(caught.value).endswith(f", got {bad!r}")


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_a_bad_option_is_named_with_its_value(name: str) -> None:
    """With the name that it has on the command line."""
    bad = GOOD_AND_BAD[name][2]

    with pytest.raises(UsageError) as caught:
        load_settings({name: bad})

    option = f"--{name.removesuffix('_usd').replace('_', '-')}"
    assert str(caught.value).startswith(f"{option}: ")
    assert str(caught.value).endswith(f", got {bad!r}")


def test_every_bad_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All errors of a file are reported in one run; an option hides the variable that it wins over."""
    monkeypatch.setenv("STORYREEL_RATE_LIMIT", "many")
    monkeypatch.setenv("STORYREEL_CONCURRENCY", "few")

    with pytest.raises(UsageError) as caught:
        load_settings({"budget_usd": "-1", "concurrency": 0})

    assert sorted(str(caught.value).splitlines()) == [
        "--budget: must be at least 0, got '-1'",
        "--concurrency: must be at least 1, got 0",
        "STORYREEL_RATE_LIMIT: must be a whole number, got 'many'",
    ]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("budget_usd", "$1", "--budget: must be an amount in US dollars like 0.25, got '$1'; write 1"),
        ("budget_usd", "0,25", "--budget: must be an amount in US dollars like 0.25, got '0,25'; write 0.25"),
        (
            "budget_daily_usd",
            "2 USD",
            "--budget-daily: must be an amount in US dollars like 0.25, got '2 USD'; write 2",
        ),
        ("budget_usd", "cheap", "--budget: must be an amount in US dollars like 0.25, got 'cheap'"),
        ("budget_usd", "NaN", "--budget: must be an amount in US dollars like 0.25, got 'NaN'"),
        ("budget_usd", "2000000", "--budget: must be at most 1,000,000, got '2000000'"),
        ("on_exceed", "ask", "--on-exceed: must be 'stop' or 'refuse', got 'ask'"),
        ("strict", "perhaps", "--strict: must be true or false, got 'perhaps'"),
        ("concurrency", 1.5, "--concurrency: must be a whole number, got 1.5"),
        ("total_timeout_s", "soon", "--total-timeout-s: must be a number, got 'soon'"),
        ("total_timeout_s", "0", "--total-timeout-s: must be above 0, got '0'"),
        ("model", "", "--model: must not be empty, got ''"),
        ("model", "m" * 201, f"--model: must be at most 200 characters, got '{'m' * 201}'"),
        ("output", 5, "--output: must be a path, got 5"),
    ],
)
def test_a_bad_value_is_told_in_our_words(name: str, value: Any, message: str) -> None:
    """What it must be, and where a person can be understood, what to write."""
    with pytest.raises(UsageError) as caught:
        load_settings({name: value})

    assert str(caught.value) == message


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_no_word_of_pydantic_reaches_the_user(name: str) -> None:
    """Whatever is wrong with a setting."""
    said = []
    bad: Any
    for bad in (GOOD_AND_BAD[name][2], "?", [], {}, -1, 10**30, float("nan")):
        try:
            load_settings({name: bad})
        except UsageError as exc:
            said.append(str(exc))

    assert said
    assert [line for line in said if "nput" in line or "valid" in line or "something else" in line] == []


@pytest.mark.parametrize("budget", ["NaN", "Infinity", "1000000.01", "1e30", "a lot", ""])
def test_a_budget_is_an_amount_that_the_ledger_can_hold(budget: str) -> None:
    """No infinity, and nothing beyond 63 bits of picodollars."""
    with pytest.raises(UsageError, match=r"^--budget: .*, got "):
        load_settings({"budget_usd": budget})


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "flux.test",
        "flux.test:8787",
        "ftp://flux.test",
        "http://",
        "http:///v1",
        "http://:8787",
        "http://?q",
        "http://flux.test:port",
        "http://flux.test:99999",
        "http://flux.test:0",
        "http://[::1",
        "http://flux .test",
        "http://flux.test\n",
        "javascript:alert(1)",
    ],
)
def test_an_endpoint_is_an_address_of_http(endpoint: str) -> None:
    """It has a scheme, a host and a possible port; anything else is refused before a request is sent."""
    with pytest.raises(UsageError) as caught:
        load_settings({"endpoint": endpoint})

    assert str(caught.value) == f"--endpoint: must be an http:// or https:// address, got {endpoint!r}"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:8787",
        "HTTPS://Flux.Test/v1/generate?key=1",
        "http://[::1]:8787/",
        "http://localhost",
        "https://amy:hunter2@flux.test",
    ],
)
def test_an_endpoint_is_used_as_it_was_given(endpoint: str) -> None:
    """Nothing of it is rewritten."""
    assert load_settings({"endpoint": endpoint}).endpoint == endpoint


# Sources


def test_a_dotenv_file_is_read(tmp_path: Path) -> None:
    """Comments, quotes, and the variables of other programs in it do no harm."""
    (tmp_path / ".env").write_text(
        "# ours\nSTORYREEL_RATE_LIMIT=60\nSTORYREEL_MODEL='other'\nHOME=/nowhere\nSTORYREEL_UNKNOWN=1\n"
    )

    assert load_settings().model_dump() == {**DEFAULTS, "rate_limit": 60, "model": "other"}


def test_a_bad_value_in_a_dotenv_file_is_named(tmp_path: Path) -> None:
    """In the words that a variable of the environment gets."""
    (tmp_path / ".env").write_text("STORYREEL_RATE_LIMIT=0\n")

    with pytest.raises(UsageError, match=r"^STORYREEL_RATE_LIMIT: must be at least 1, got '0'$"):
        load_settings()


@pytest.mark.parametrize("content", [b"STORYREEL_MODEL=\xff\xfe\n", b"\xff\xfeS\0T\0"])
def test_a_dotenv_file_that_is_no_text_is_named(tmp_path: Path, content: bytes) -> None:
    """Some editors save UTF-16: the message says so, and how to fix it."""
    (tmp_path / ".env").write_bytes(content)

    with pytest.raises(UsageError, match=r"^\.env: cannot be read: .*; save it as UTF-8$"):
        load_settings()


def test_options_win_over_variables_and_variables_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that is made for one run wins over one that is made for all."""
    (tmp_path / ".env").write_text("STORYREEL_RATE_LIMIT=1\nSTORYREEL_CONCURRENCY=1\nSTORYREEL_MAX_RESENDS=1\n")
    monkeypatch.setenv("STORYREEL_RATE_LIMIT", "2")
    monkeypatch.setenv("STORYREEL_CONCURRENCY", "2")

    settings = load_settings({"rate_limit": 3})

    assert (settings.rate_limit, settings.concurrency, settings.max_resends) == (3, 2, 1)


def test_an_option_that_was_not_given_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is what click passes for it."""
    monkeypatch.setenv("STORYREEL_RATE_LIMIT", "60")

    settings = load_settings({"rate_limit": None, "endpoint": None, "budget_usd": None})

    assert settings.model_dump() == {**DEFAULTS, "rate_limit": 60}


def test_an_option_may_be_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero is given, None is not."""
    monkeypatch.setenv("STORYREEL_BUDGET_USD", "1")

    assert load_settings({"budget_usd": Decimal(0)}).budget_usd == 0


def test_settings_do_not_change() -> None:
    """A run keeps to the settings with which it was started."""
    settings = load_settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.rate_limit = 1  # type: ignore[misc]


# The log


@pytest.mark.parametrize("text", ["debug", "info", "warning", "error", "INFO"])
def test_a_variable_sets_the_level_of_the_log(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """In capitals too, as Python spells it."""
    monkeypatch.setenv("STORYREEL_LOG_LEVEL", text)

    assert load_log_level() == text.lower()


def test_warnings_are_logged_by_default_and_the_file_sets_the_level_too(tmp_path: Path) -> None:
    """Other lines of .env do no harm, even where they are wrong."""
    default = load_log_level()
    (tmp_path / ".env").write_text("STORYREEL_LOG_LEVEL=info\nSTORYREEL_RATE_LIMIT=many\n")

    assert (default, load_log_level()) == ("warning", "info")


def test_a_bad_level_is_named_with_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """As any other variable; the settings of a run do not depend on it."""
    monkeypatch.setenv("STORYREEL_LOG_LEVEL", "loud")

    with pytest.raises(UsageError) as caught:
        load_log_level()

    assert str(caught.value) == "STORYREEL_LOG_LEVEL: must be 'debug', 'info', 'warning' or 'error', got 'loud'"
    assert load_settings().model_dump() == DEFAULTS


# Secrets


def test_secrets_never_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as a whole nor each alone; only `get_secret_value` returns one."""
    monkeypatch.setenv("STORYREEL_API_TOKEN", "hunter2")
    monkeypatch.setenv("STORYREEL_DATABASE_URL", "postgresql://amy:hunter2@ledger.test/reel")

    settings = load_settings()

    printed = [
        repr(settings),
        str(settings),
        f"{settings.api_token} {settings.database_url}",
        settings.model_dump_json(),
    ]
    assert [text for text in printed if "hunter2" in text] == []
    assert repr(settings.api_token) == "SecretStr('**********')"
    assert settings.api_token == SecretStr("hunter2")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"api_token": "t"},
        {"endpoint": "https://amy:pw@flux.test", "api_token": "t"},
        {"endpoint": "http://127.0.0.1:8787", "api_token": "t"},
        {"endpoint": "http://amy:pw@[::1]:8787", "api_token": "t"},
        {"endpoint": "http://studio.localhost:8787", "api_token": "t"},
        {"endpoint": "http://flux.test"},
        {"endpoint": "http://flux.test", "api_token": ""},
        {"endpoint": "http://amy:pw@flux.test", "api_token": "t", "http_token": True},
    ],
)
def test_a_secret_may_go_where_nothing_else_can_read_it(values: dict[str, Any]) -> None:
    """Over https, to this machine, or where the user says so."""
    load_settings(values).require_secrets_hidden()


@pytest.mark.parametrize("name", ["api_token", "database_url"])
def test_a_secret_that_is_wrong_is_not_quoted(name: str) -> None:
    """The message names the option, and not its value."""
    with pytest.raises(UsageError) as caught:
        load_settings({name: ["hunter2"]})

    assert str(caught.value) == f"--{name.replace('_', '-')}: must be text"


@pytest.mark.parametrize("endpoint", ["http://amy:hunter2@flux.test:port", "ftp://flux.test/?key=hunter2"])
def test_a_secret_in_an_endpoint_that_is_wrong_is_not_quoted(endpoint: str) -> None:
    """Before an @ there may be a password, in a query a key."""
    with pytest.raises(UsageError) as caught:
        load_settings({"endpoint": endpoint})

    assert str(caught.value) == "--endpoint: must be an http:// or https:// address"


# Derived values


@pytest.mark.parametrize(
    ("endpoint", "model", "asked", "simulated"),
    [
        (None, None, "sketch", True),
        (None, "sketch", "sketch", True),
        (None, "flux-1-schnell", "flux-1-schnell", True),
        ("http://flux.test", None, "flux-1-schnell", False),
        ("http://flux.test", "other", "other", False),
        ("http://flux.test", "sketch", "sketch", True),
    ],
)
def test_costs_are_simulated_where_they_are_made_up(
    endpoint: str | None, model: str | None, asked: str, simulated: bool
) -> None:
    """Always at the embedded endpoint, whatever the model; anywhere else for sketches only."""
    settings = load_settings({"endpoint": endpoint, "model": model})

    assert (settings.effective_model, settings.simulated) == (asked, simulated)


@pytest.mark.parametrize(
    ("model", "short"),
    [
        ("flux-1-schnell", "flux-1-schnell"),
        ("@cf/black-forest-labs/flux-1-schnell", "flux-1-schnell"),
        ("@cf/leonardo/phoenix-1.0", "phoenix-1.0"),
        ("black-forest-labs/FLUX-1-schnell", "black-forest-labs/FLUX-1-schnell"),
    ],
)
def test_a_model_of_workers_ai_has_a_short_name(model: str, short: str) -> None:
    """By which request keys and the ledger know it; what was typed is kept."""
    settings = load_settings({"endpoint": "http://flux.test", "model": model})

    assert (settings.effective_model, settings.model) == (short, model)


def test_the_ledger_is_in_the_output_folder_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an absolute path: a run may change its working folder."""
    beside = load_settings({"output": "films"}).effective_database_url
    monkeypatch.setenv("STORYREEL_DATABASE_URL", "postgresql://amy:hunter2@ledger.test/reel")

    assert beside == f"sqlite:///{tmp_path}/films/storyreel.db"
    assert load_settings().effective_database_url == "postgresql://amy:hunter2@ledger.test/reel"


def test_relative_paths_are_found_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's own folder is temporary; absolute paths stay what they are."""
    monkeypatch.setenv("STORYREEL_ROOT", str(tmp_path / "reels"))

    settings = load_settings({"output": "films"})

    assert settings.output == tmp_path / "reels/films"
    assert settings.locate(Path("boards/harbor.yaml")) == tmp_path / "reels/boards/harbor.yaml"
    assert settings.locate(Path("/boards/harbor.yaml")) == Path("/boards/harbor.yaml")
    assert load_settings({"output": "/films"}).output == Path("/films")


def test_a_relative_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be found from the very folder that it is to replace."""
    monkeypatch.setenv("STORYREEL_ROOT", "reels")

    with pytest.raises(UsageError, match=r"^STORYREEL_ROOT: must be an absolute path, got 'reels'$"):
        load_settings()
