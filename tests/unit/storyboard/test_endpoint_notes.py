"""What an endpoint will not make of a storyboard is noted where it is asked for; what cannot work is a problem."""

from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.common.errors import Note
from pipelines.common.geometry import Size
from pipelines.endpoints.models import Abilities, ImageModel
from pipelines.endpoints.prices import price_list
from pipelines.endpoints.rates import FlatRate
from pipelines.storyboard.endpoint_notes import endpoint_issues
from pipelines.storyboard.loader import load_text

SQUARES = price_list("cloudflare").model("flux-1-schnell")
KLEIN = price_list("cloudflare").model("flux-2-klein-4b")
MINI = price_list("openai").model("gpt-image-1-mini")
DALL_E_2 = price_list("openai").model("dall-e-2")
QUICK = ImageModel("quick", "quick", Abilities(max_steps=2), FlatRate(Decimal(0)))
ODD = ImageModel("odd", "odd", Abilities(sizes=(Size(900, 100),)), FlatRate(Decimal(0)))

CROPPED = "flux-1-schnell makes pictures of 1024x1024: asked for 16:9, 43% of each is cropped away; ask for 1:1, of"


def said(text: str, model: ImageModel) -> list[str]:
    """Return what is said of a storyboard's text, as the user reads it."""
    return [str(issue) for issue in endpoint_issues(load_text(text, Path("film.yaml")), model)]


@pytest.mark.parametrize(
    ("text", "model", "expected"),
    [
        ("aspect: 16:9", SQUARES, f"film.yaml:1:20: defaults.aspect: note: {CROPPED} which nothing is lost"),
        (
            "aspect: 4:3, fit: contain",
            SQUARES,
            "film.yaml:1:20: defaults.aspect: note: flux-1-schnell makes pictures of 1024x1024: asked for 4:3, each is "
            "shown whole, with black beside it; ask for 1:1, of which nothing is lost",
        ),
        (
            "aspect: 3:4, fit: stretch",
            SQUARES,
            "film.yaml:1:20: defaults.aspect: note: flux-1-schnell makes pictures of 1024x1024: asked for 3:4, each is "
            "stretched; ask for 1:1, of which nothing is lost",
        ),
        (
            "aspect: 9:16, fit: error",
            SQUARES,
            "film.yaml:1:20: defaults.aspect: flux-1-schnell makes 1024x1024 of 9:16, not 768x1344, and fit: error "
            "refuses that once it is paid for; choose another fit",
        ),
        (
            "aspect: 1:1",
            ODD,
            "film.yaml:1:20: defaults.aspect: note: odd makes pictures of 900x100: asked for 1:1, 89% of each is "
            "cropped away; choose another model to have all",
        ),
        (
            "aspect: 1:1, steps: 6",
            KLEIN,
            "film.yaml:1:32: defaults.steps: note: flux-2-klein-4b is asked for no number of steps, and makes what it "
            "likes; remove `steps`",
        ),
        (
            "aspect: 1:1, steps: 6",
            QUICK,
            "film.yaml:1:32: defaults.steps: note: quick makes at most 2 steps, and none of the 4 beyond; ask for 2",
        ),
    ],
)
def test_what_is_made_otherwise_is_told_where_it_is_asked(text: str, model: ImageModel, expected: str) -> None:
    """With what is lost, and what to do."""
    assert said(f"defaults: {{{text}}}\nprompts: [a harbor, a boat]\n", model) == [expected]


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("aspect: 16:9", KLEIN),
        ("aspect: 1:1, steps: 8", SQUARES),
        # Its steps are the storyboard's default, which nobody asked for.
        ("aspect: 1:1", MINI),
        ("aspect: 1:1", QUICK),
        # Another size of the same shape.
        ("aspect: 16:9", price_list("openai").model("dall-e-3")),
    ],
)
def test_nothing_is_said_of_what_is_made_as_it_is_asked(text: str, model: ImageModel) -> None:
    """Nor of what makes no difference."""
    assert said(f"defaults: {{{text}}}\nprompts: [a harbor, a boat]\n", model) == []


def test_what_costs_less_with_the_same_pixels_is_told() -> None:
    """A square cropped to 4:3 has all of its pixels; the wider picture, cropped, has no more that are seen."""
    shorter, cheaper = said("defaults: {aspect: 4:3}\nprompts: [a harbor]\n", MINI)

    assert "asked for 4:3, 11% of each is cropped away" in shorter
    assert cheaper == (
        "film.yaml:1:20: defaults.aspect: note: 1:1 costs 0.036 USD instead of 0.052, and cropped to 4:3 it has the "
        "same 1024x768 pixels; ask for 1:1, and set the output's size"
    )


def test_each_thing_is_told_once_where_it_is_set_and_a_default_once() -> None:
    """However many frames inherit it; two shots that set the same are two places."""
    text = """\
scenes:
  - id: s
    shots:
      - {id: a, prompt: a harbor, frames: 3}
      - {id: b, prompt: a boat}
      - {id: c, prompt: a gull, aspect: 16:9}
      - {id: d, prompt: a pier, aspect: 16:9}
"""
    assert said(text, SQUARES) == [
        f"film.yaml:4:9: scenes.s.shots.a: note: {CROPPED} which nothing is lost",
        f"film.yaml:6:41: scenes.s.shots.c.aspect: note: {CROPPED} which nothing is lost",
        f"film.yaml:7:41: scenes.s.shots.d.aspect: note: {CROPPED} which nothing is lost",
    ]


def test_a_prompt_that_is_longer_than_the_model_takes_is_a_problem_at_its_place() -> None:
    """So is a fallback prompt: each would be refused, frame after frame."""
    text = f"""\
defaults: {{aspect: 1:1}}
scenes:
  - id: s
    shots:
      - id: a
        prompts:
          0: a harbor
          2: {"a boat " * 150}
        fallback_prompts: [{"a gull " * 200}]
"""
    issues = endpoint_issues(load_text(text, Path("film.yaml")), DALL_E_2)

    cure = "characters once filled in, and dall-e-2 takes at most 1,000; shorten it, or choose another model"
    assert [str(issue) for issue in issues] == [
        f"film.yaml:7:14: scenes.s.shots.a.prompts[0]: a fallback prompt is 1,399 {cure}",
        f"film.yaml:8:14: scenes.s.shots.a.prompts[2]: is 1,049 {cure}",
        f"film.yaml:8:14: scenes.s.shots.a.prompts[2]: a fallback prompt is 1,399 {cure}",
    ]
    assert not any(isinstance(issue, Note) for issue in issues)
