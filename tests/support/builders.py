"""Builders of the values that many tests need: whole by default, each part named when it matters."""

from decimal import Decimal
from typing import Any

from pipelines.common.budgets import Budgets
from pipelines.common.geometry import AspectRatio, Fit
from pipelines.endpoints.prices import price_list
from pipelines.ledger.models import GroupMember, Run, RunState
from pipelines.storyboard.plan import FrameSpec, TakeSpec, request_key, take_of

MODEL = "flux-1-schnell"
MODEL_OF_FLUX = price_list("flux").model(MODEL)


def frame_spec(
    number: int = 0,
    *,
    scene: str = "arrival",
    shot: str = "wide",
    prompt: str = "a harbor at dawn",
    fallback_prompts: tuple[str, ...] = (),
    steps: int = 4,
    aspect: AspectRatio = AspectRatio.SQUARE,
    fit: Fit = Fit.COVER,
    copy: int = 1,
    takes: int = 1,
    model: str = MODEL,
) -> FrameSpec:
    """Return a frame; its request key follows from what it asks."""
    key = request_key(model=model, prompt=prompt, steps=steps, aspect=aspect, take=1, copy=copy)
    return FrameSpec(number, scene, shot, prompt, fallback_prompts, steps, aspect, fit, key, MODEL_OF_FLUX, copy, takes)


def take_spec(number: int = 0, *, take: int = 1, **asked: Any) -> TakeSpec:
    """Return a take of a frame, by default its first; see `frame_spec` for what may be asked."""
    return take_of(frame_spec(number, **asked), take, model=MODEL)


def run(
    run_id: str = "run-1",
    *,
    storyboard: str = "harbor",
    endpoint: str = "http://flux.test",
    model: str = MODEL,
    simulated: bool = False,
    budget_usd: Decimal | None = None,
) -> Run:
    """Return a run as the ledger knows it."""
    return Run(run_id, storyboard, endpoint, model, simulated, Budgets(budget_usd))


def group_member(lane: str, **values: Any) -> GroupMember:
    """Return one run of a group, by default one of this machine that goes on; the first lane's conducts."""
    whole = {"run_id": f"run-{lane}", "host": "attic 9f2c", "here": True, "state": RunState.RUNNING}
    return GroupMember(**{**whole, "lane": lane, "conducts": lane == "a", **values})
