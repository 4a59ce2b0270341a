"""The inventory says which takes a plan asks for, which are there, and which ones its film shows."""

from pathlib import Path

from pipelines.common.settings import Settings
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.plan import Plan, TakeSpec, plan_frames, take_of
from pipelines.takes.inventory import TakeInventory, read_inventory, take_inventory
from tests.support.builders import MODEL, run
from tests.support.output_folder import OutputFolder
from tests.support.pictures import picture_bytes, write

BOARD = """
scenes:
  - id: garden
    shots:
      - {id: cat, prompt: a cat, takes: 2}
      - {id: dog, prompt: a dog}
"""


def two_frames(folder: Path) -> Plan:
    """Return the plan of two frames, the first with two takes."""
    path = folder / "pets.yaml"
    path.write_text(BOARD)
    return plan_frames(load_storyboard(path), model=MODEL)


def inventory_of(output: OutputFolder, plan: Plan) -> TakeInventory:
    return take_inventory(output.ledger, plan, store=output.store("pets"), output=output.path)


def second_take(plan: Plan) -> TakeSpec:
    """Return the take that the storyboard asks for besides the first ones."""
    return take_of(plan.frames[0], 2, model=plan.model)


def test_first_takes_are_requested_before_all_others(output: OutputFolder) -> None:
    """A run that ends early leaves a film."""
    plan = two_frames(output.path)
    cat, dog = plan.frames

    inventory = inventory_of(output, plan)

    assert inventory.requested == (cat.first_take, dog.first_take, second_take(plan))
    assert (inventory.missing, inventory.selected) == (inventory.requested, [])
    assert (set(inventory.known), inventory.unregistered) == (set(inventory.requested), (second_take(plan),))


def test_what_is_there_is_not_missing(output: OutputFolder) -> None:
    """A frame that lacks its first take shows the next one."""
    plan = two_frames(output.path)
    take = second_take(plan)
    path = write(output.store("pets").takes / f"{take.request_key}.png", picture_bytes())

    inventory = inventory_of(output, plan)

    assert inventory.missing == tuple(frame.first_take for frame in plan.frames)
    assert [(shown.spec, shown.path) for shown in inventory.selected] == [(take, path)]
    assert [frame.selected is None for frame in inventory.frames] == [False, True]


def test_takes_that_were_once_requested_stay_their_frame_s(output: OutputFolder) -> None:
    """The storyboard asks for them no more: they are known, and neither requested nor missing."""
    plan = two_frames(output.path)
    which = run(storyboard="pets")
    output.ledger.start_run(which)
    output.ledger.request_more_takes(which, plan.frames[1:], count=1, prompt="a wolf", kept=())

    inventory = inventory_of(output, plan)

    wolf = take_of(plan.frames[1], 2, model=plan.model, prompt="a wolf")
    assert (wolf in inventory.known, wolf in inventory.requested, wolf in inventory.unregistered) == (
        True,
        False,
        False,
    )


def test_an_inventory_can_be_read_where_there_is_no_ledger(tmp_path: Path) -> None:
    """Reading it makes none."""
    settings = Settings(output=tmp_path / "outputs")

    inventory = read_inventory(two_frames(tmp_path), settings)

    assert (len(inventory.missing), settings.output.exists()) == (3, False)
