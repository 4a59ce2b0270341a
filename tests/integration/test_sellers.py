"""What a storyboard costs at the endpoints of each dialect, and what they will not make of it: told before money is."""

from pathlib import Path

from tests.conftest import Storyreel

CLOUDFLARE = {
    "STORYREEL_DIALECT": "cloudflare",
    "STORYREEL_ENDPOINT": "https://api.cloudflare.com/client/v4/accounts/0a1b",
}
OPENAI = {"STORYREEL_DIALECT": "openai", "STORYREEL_ENDPOINT": "https://api.openai.com/v1"}
CROPPED = (
    "film.yaml:2:5: prompts[0]: note: flux-1-schnell makes pictures of 1024x1024: asked for 16:9, 43% of each is "
    "cropped away; ask for 1:1, of which nothing is lost"
)


def write(text: str = "prompts:\n  - a harbor\n  - a boat\n") -> str:
    Path("film.yaml").write_text(text)
    return "film.yaml"


def test_a_quote_is_of_what_the_model_makes(storyreel: Storyreel) -> None:
    """Squares of 4 tiles whatever is asked, in neurons; the note says what becomes of 16:9."""
    told = storyreel("plan", write(), **CLOUDFLARE)
    quoted = storyreel("plan", "film.yaml", "--json", **CLOUDFLARE).json

    assert told.exit_code == 0
    assert CROPPED in told.stderr.splitlines()
    assert "  cost        0.0012672 USD, 0.044352 THB, 115.2 neurons" in told.stderr.splitlines()
    assert (quoted["cost_usd"], quoted["cost_thb"], quoted["neurons"]) == ("0.0012672", "0.044352", "115.2")
    assert (quoted["worst_case_usd"], quoted["notes"]) == ("0.0050688", [CROPPED])


def test_there_are_no_neurons_where_none_are_billed(storyreel: Storyreel) -> None:
    """Null in JSON, and left out in text."""
    asked = ("plan", write("defaults: {aspect: 1:1}\nprompts: [a harbor]\n"), "--model", "gpt-image-1-mini")
    told = storyreel(*asked, **OPENAI)
    quoted = storyreel(*asked, "--json", **OPENAI).json

    assert "  cost        0.036 USD, 1.26 THB" in told.stderr.splitlines()
    assert (quoted["cost_usd"], quoted["neurons"]) == ("0.036", None)


def test_what_nothing_prices_is_not_quoted_unless_a_price_bounds_it(storyreel: Storyreel) -> None:
    """The refusal names the cure; takes of such a model may be looked at all the same."""
    asked = (write(), "--model", "sd-turbo")
    refused = [storyreel(verb, *asked, **OPENAI) for verb in ("plan", "render")]
    quoted = storyreel("plan", *asked, "--json", **OPENAI, STORYREEL_PRICE_USD="0.002").json

    cure = (
        "model sd-turbo: configs/prices/openai.yaml does not say what it costs; give --price (STORYREEL_PRICE_USD), "
        "the most that an image may cost; choose one of gpt-image-1, gpt-image-1-mini, dall-e-3, dall-e-2"
    )
    assert [(ended.exit_code, cure in ended.stderr) for ended in refused] == [(2, True)] * 2
    assert (quoted["cost_usd"], quoted["neurons"]) == ("0.004", None)
    assert storyreel("takes", *asked, **OPENAI).exit_code == 0


def test_a_note_on_the_endpoint_is_an_error_where_notes_are(storyreel: Storyreel) -> None:
    """For `check`, which goes by the endpoint too; nothing is noted for the embedded one."""
    noted, strict = (storyreel("check", write(), *more, **CLOUDFLARE) for more in ((), ("--strict",)))

    assert (noted.exit_code, noted.stderr.splitlines()) == (0, [CROPPED, "film.yaml: ok, 2 frames, 8.0 s, 1 note"])
    assert (strict.exit_code, strict.stderr.splitlines()) == (2, [CROPPED])
    assert storyreel("check", "film.yaml", "--strict").exit_code == 0


def test_a_frame_that_the_model_cannot_make_is_refused_before_money(storyreel: Storyreel) -> None:
    """With its place, by every command that would spend and by those that come before."""
    path = write(f"defaults: {{aspect: 1:1}}\nprompts:\n  - a harbor\n  - {'a boat ' * 150}\n")
    ended = [storyreel(verb, path, "--model", "dall-e-2", **OPENAI) for verb in ("check", "plan", "render")]

    problem = (
        "film.yaml:4:5: prompts[1]: is 1,049 characters once filled in, and dall-e-2 takes at most 1,000; shorten it, "
        "or choose another model"
    )
    assert [(one.exit_code, one.stderr.splitlines()) for one in ended] == [(2, [problem])] * 3
