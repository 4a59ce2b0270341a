"""The JSON Schema says of a storyboard what the loader does."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from pipelines.storyboard.format.schema import json_schema
from pipelines.storyboard.format.yaml_tree import parse_yaml
from pipelines.storyboard.importer.starter import starter_text

CONFIGS = Path(__file__).parents[3] / "configs"


def valid(text: str) -> bool:
    """Say whether the schema takes a storyboard as an editor reads it: numbers as numbers."""
    data = json.loads(json.dumps(parse_yaml(text).data, default=_number))
    return bool(Draft7Validator(json_schema()).is_valid(data))


def _number(value: Decimal) -> Any:
    return float(value)


def test_the_shipped_schema_is_the_one_of_the_code() -> None:
    """Editors read the file; `storyreel schema` prints the same."""
    shipped = json.loads((CONFIGS / "storyboard.schema.json").read_text())

    assert shipped == json_schema()
    Draft7Validator.check_schema(shipped)


def test_the_examples_and_the_starter_fit_it() -> None:
    """An editor underlines nothing in the storyboards that we ship."""
    texts = [path.read_text() for path in sorted((CONFIGS / "storyboards").glob("*.yaml"))]

    assert [valid(text) for text in [*texts, starter_text()]] == [True] * (len(texts) + 1)


@pytest.mark.parametrize(
    "text",
    [
        "title: x",
        "prompts: []",
        "prompts: [5]",
        "prompts: [x]\nscenes: [{shots: [{prompt: y}]}]",
        "prompts: [x]\ntitel: y",
        "prompts: [x]\ndefaults: {steps: 9}",
        "prompts: [x]\ndefaults: {aspect: 16:10}",
        "prompts: [x]\ndefaults: {hold: 1 hour}",
        "prompts: [x]\ndefaults: {transition: disolve}",
        "prompts: [x]\noutput: {fit: error}",
        "scenes: [{id: ../x, shots: [{prompt: y}]}]",
        "scenes: [{shots: [{prompts: {zero: y}}]}]",
        "prompts: [x]\nbudget: {}",
        "prompts: [x]\nbudget: {usd: 1, on_exceed: ask}",
        "prompts: [x]\nbudget: {on_exceed: stop}",
        "prompts: [x]\nbudget: $1",
        "prompts: [x]\noutput: tiktok",
        "prompts: [x]\naudio: [rain.mp3]",
        "prompts: [x]\nendpoint: ftp://x",
        "prompts: [x]\nendpoint: {url: https://x.test, token: s3cret}",
        "prompts: [x]\nendpoint: {url: https://x.test, dialect: fluks}",
    ],
)
def test_what_the_loader_refuses_the_schema_refuses(text: str) -> None:
    """An editor underlines the mistake before storyreel reports it."""
    assert not valid(text)


@pytest.mark.parametrize(
    "text",
    [
        "prompts: [x]\ndefaults: {hold: 0.5, transition: cut}",
        "prompts: [x]\ndefaults: {hold: 96f, transition: {type: cut}}",
        "prompts: [x]\ndefaults: {transition: wipe_left, motion: {type: pan_up, amount: 0.2, ease: in_out}}",
        "prompts: [x]\noutput: [{preset: youtube}, {preset: reel, crf: 20}]\ncaptions: {size: 4, color: '#FFCC00'}",
        "scenes: [{shots: [{prompts: [x, y], smooth: {fps: 24, method: blend}, caption: both}]}]",
        "prompts: [x]\nbudget: {total_usd: 2, on_exceed: refuse}",
        "prompts: [x]\nbudget: 0.25\noutput: youtube\naudio: rain.mp3",
        "prompts: [x]\noutput: [youtube, {preset: reel}, gif]",
        "prompts: [x]\noutput: {fps: 30000/1001}\nvars: {a: 1, b: true, c: x}",
        "scenes: [{shots: [{prompts: {0: x, 4: y}, frames: 8, matrix: {a: [1, x]}, match: zip}]}]",
    ],
)
def test_every_way_to_write_it_fits(text: str) -> None:
    """Numbers and words where both are taken."""
    assert valid(text)
