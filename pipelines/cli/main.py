"""The storyreel command: thin. It reads the command line, maps errors to exit codes, and says what happened."""

import asyncio
import json
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipelines.common.errors import IncompleteError, InterruptedRunError, StoryboardError, StoryreelError, UsageError

if TYPE_CHECKING:
    from pipelines.common.settings import Settings
    from pipelines.storyboard.plan import FrameSpec, Plan
    from pipelines.storyboard.quote import Quote

F = TypeVar("F", bound=Callable[..., Any])

_BUG_EXIT_CODE = 1


def main() -> None:
    """Run the command; the exit code says how it ended (see `storyreel --help`)."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments; return its exit code."""
    try:
        storyreel.main(args=list(arguments), prog_name="storyreel", standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except StoryreelError as exc:
        say(str(exc))
        return exc.exit_code
    except (KeyboardInterrupt, click.Abort, asyncio.CancelledError):
        say("interrupted: what was paid for is kept; run again to complete")
        return InterruptedRunError.exit_code
    except BrokenPipeError:
        # Whoever read our output has had enough; closing stderr keeps Python from complaining at its end.
        sys.stderr.close()
        return 0
    except Exception:  # noqa: BLE001 - the last line of defence
        traceback.print_exc()
        say("this is a bug in storyreel; what was bought is kept. Please report it with the lines above.")
        return _BUG_EXIT_CODE
    return 0


def say(text: str) -> None:
    """Tell the person at the terminal."""
    click.echo(text, err=True)


def answer(value: object) -> None:
    """Answer the program that reads stdout: exactly one JSON object."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _board(command: F) -> F:
    return click.argument("board", type=click.Path(path_type=Path))(command)


def _boards(command: F) -> F:
    return click.argument("boards", type=click.Path(path_type=Path), nargs=-1, required=True)(command)


def _as_json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(command)


def _output(command: F) -> F:
    return click.option(
        "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for all results.  [default: outputs]"
    )(command)


def _buying(command: F) -> F:
    """Add the options that decide what is asked, of whom, and how fast."""
    options = [
        click.option("--endpoint", help="Address of the FLUX API.  [default: STORYREEL_ENDPOINT, else embedded]"),
        click.option("--model", help="Model to ask for.  [default: flux-1-schnell; sketch for the embedded endpoint]"),
        _output,
        click.option("--rate-limit", type=int, help="Requests a minute that the endpoint allows.  [default: 720]"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _capped(command: F) -> F:
    """Add the options that bound a run."""
    budget = click.option(
        "--budget", "budget_usd", metavar="USD", help="Hard cap for this run, beside the storyboard's own."
    )
    concurrency = click.option("--concurrency", type=int, help="Requests in flight at most.  [default: 128]")
    return budget(concurrency(command))


class _Scale(click.ParamType[Decimal]):
    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            scale = Decimal(value)
        except InvalidOperation:
            scale = Decimal(0)
        if not (scale.is_finite() and 0 < scale <= 1):
            self.fail(f"{value!r} is no number above 0 and up to 1", param, ctx)
        return scale


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 all done; 2 the storyboard or the command line is wrong; 3 the budget; 4 some frames "
    "failed, run again; 5 the endpoint; 130 interrupted; 1 a bug.",
)
@click.version_option(package_name="storyreel")
def storyreel() -> None:
    """Turn a YAML storyboard of prompts into a film, with an account of every cent.

    \b
    Example:
      storyreel new my-film.yaml
      storyreel plan my-film.yaml
      storyreel render my-film.yaml
    """


@storyreel.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "prompts",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A list of prompts: a .txt with a line a shot, or a .csv with a row a shot.",
)
def new(path: Path, *, prompts: Path | None) -> None:
    """Write a commented storyboard to start from, or one that shows a list of prompts.

    The columns of a .csv are a storyboard's own keys: prompt, and if you like scene, shot, caption, hold, steps,
    aspect, transition, motion, style ... A row without a scene goes on with the scene above it.

    \b
    Example:
      storyreel new my-film.yaml
      storyreel new my-film.yaml --from prompts.txt
    """
    from pipelines.common.files import write_atomic
    from pipelines.storyboard.importer.starter import starter_text
    from pipelines.storyboard.importer.storyboard_text import storyboard_text

    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{path}: a storyboard's name ends in .yaml: storyreel new {path}.yaml")
    if path.exists():
        raise UsageError(f"{path}: is there already and is left as it is; choose another name")
    text = storyboard_text(prompts, path=path) if prompts else starter_text()
    write_atomic(path, text.encode())
    say(f"{path}: written; next: storyreel plan {path}")


@storyreel.command()
@_boards
@_as_json
def check(boards: tuple[Path, ...], *, as_json: bool) -> None:
    """Check storyboards; send nothing.

    \b
    Example:
      storyreel check configs/storyboards/*.yaml
    """
    results = [_check(path) for path in boards]
    if as_json:
        answer({"ok": all(result["ok"] for result in results), "storyboards": results})
    problems = [problem for result in results for problem in result["problems"]]
    if problems:
        raise UsageError("\n".join(problems))


def _check(path: Path) -> dict[str, Any]:
    from pipelines.film.sound import require_sounds
    from pipelines.storyboard.loader import load_storyboard
    from pipelines.storyboard.timeline import build_timeline

    try:
        board = load_storyboard(path)
        asyncio.run(require_sounds(board))
    except StoryboardError as exc:
        return {"path": str(path), "ok": False, "problems": [str(problem) for problem in exc.problems]}
    seconds = float(build_timeline(board).duration_s)
    say(f"{path}: ok, {len(board.frames)} frames, {seconds:.1f} s")
    return {"path": str(path), "ok": True, "problems": [], "frames": len(board.frames), "video_seconds": seconds}


@storyreel.command()
@_board
@_buying
@_as_json
def plan(board: Path, *, as_json: bool, **options: Any) -> None:
    """Quote a storyboard: frames to buy and to reuse, exact cost, worst case, time.

    \b
    Example:
      storyreel plan configs/storyboards/harbor-at-dawn.yaml
    """
    from pipelines.common.settings import load_settings
    from pipelines.storyboard.loader import load_storyboard
    from pipelines.storyboard.plan import plan_frames
    from pipelines.takes.inventory import read_inventory

    settings = load_settings(options)
    planned = plan_frames(load_storyboard(board), model=settings.effective_model)
    takes = read_inventory(planned, settings)
    quote = _quote(planned, settings, takes.wanted, bought=takes.bought.takes)
    if as_json:
        answer(_quote_json(planned, quote))
    else:
        say(_quote_text(planned, quote, settings))


def _quote(planned: "Plan", settings: "Settings", wanted: "Sequence[FrameSpec]", *, bought: Collection[str]) -> "Quote":
    from pipelines.storyboard.quote import quote_takes

    return quote_takes(
        wanted,
        frames=len(planned.frames),
        bought=bought,
        rate_limit=settings.rate_limit,
        max_resends=settings.max_resends,
        retry_quota=settings.retry_quota,
    )


def _quote_json(planned: "Plan", quote: "Quote") -> dict[str, object]:
    from pipelines.common.formatting import format_decimal

    return {
        "storyboard": planned.storyboard,
        "frames": quote.frames,
        "reuse": quote.reuse,
        "generate": quote.generate,
        "cost_usd": format_decimal(quote.price.usd),
        "worst_case_usd": format_decimal(quote.worst_case_usd),
        "cost_thb": format_decimal(quote.price.thb),
        "neurons": format_decimal(quote.price.neurons),
        "video_seconds": float(planned.timeline.duration_s),
        "video_frames": planned.timeline.video_frames,
        "seconds_at_rate_limit": float(quote.time_at_rate_limit_s),
    }


def _quote_text(planned: "Plan", quote: "Quote", settings: "Settings") -> str:
    from pipelines.common.formatting import format_decimal

    simulated = " (simulated: sketches are free)" if settings.simulated else ""
    timeline, output = planned.timeline, planned.timeline.output
    return "\n".join(
        [
            f"{planned.title}",
            f"  frames      {quote.frames}: {quote.generate} to buy, {quote.reuse} to reuse",
            f"  cost        {format_decimal(quote.price.usd)} USD, {format_decimal(quote.price.thb)} THB, "
            f"{format_decimal(quote.price.neurons)} neurons{simulated}",
            f"  worst case  {format_decimal(quote.worst_case_usd)} USD, if every re-send is made and billed",
            f"  film        {float(timeline.duration_s):.1f} s, {timeline.video_frames} video frames, {output.size}",
            f"  time        {float(quote.time_at_rate_limit_s):.1f} s at {settings.rate_limit} requests a minute",
        ]
    )


@storyreel.command()
@_boards
@_buying
@_capped
@click.option("--otio", is_flag=True, help="Write the timeline as OpenTimelineIO too, for an editor.")
@click.option("--open", "open_it", is_flag=True, help="Open the film, or the page about it, once it is made.")
@_as_json
def render(boards: tuple[Path, ...], *, open_it: bool, as_json: bool, **options: Any) -> None:
    """Buy what is missing, cut the film, write the ledger.

    \b
    Example:
      storyreel render configs/storyboards/cat-in-a-garden.yaml
      storyreel render my-film.yaml --endpoint https://flux.example.workers.dev --budget 0.25
    """
    from pipelines.cli.render import open_results, render_boards

    results = render_boards(boards, options)
    if as_json:
        renders = [result.as_json() for result in results]
        answer(renders[0] if len(boards) == 1 else {"renders": renders})
    if open_it:
        open_results(results)
    if errors := [result.error for result in results if result.error]:
        raise errors[0]


@storyreel.command()
@_board
@click.argument("frames")
@click.option("--takes", type=int, default=1, show_default=True, help="How many more of each frame.")
@click.option("--prompt", help="What to ask instead of the frames' own prompts.")
@click.option("--dry-run", is_flag=True, help="Quote it only; buy nothing.")
@_buying
@_capped
@_as_json
def reroll(board: Path, frames: str, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Buy more takes of some frames: numbers and ranges (3,7-9), scene/shot, or a whole scene.

    No take is ever overwritten: a frame goes on to show the one that it showed until another is picked.

    \b
    Example:
      storyreel reroll my-film.yaml 3,7-9 --takes 2
      storyreel reroll my-film.yaml arrival/wide --prompt "a harbor in fog, no boats"
    """
    from pipelines.cli.render import render_boards
    from pipelines.common.settings import load_settings
    from pipelines.storyboard.loader import load_storyboard
    from pipelines.storyboard.plan import plan_frames
    from pipelines.storyboard.selection import select_extra_takes

    settings = load_settings(options)
    planned = plan_frames(load_storyboard(board), model=settings.effective_model)
    more = select_extra_takes(planned, frames, count=options["takes"], prompt=options["prompt"])
    quote = _quote(planned, settings, more.images, bought=())
    say(_reroll_text(len(more.frames), quote, settings))
    if dry_run:
        if as_json:
            answer(_quote_json(planned, quote))
        return
    [result] = render_boards([board], {**options, "reroll": frames})
    if as_json:
        answer(result.as_json())
    if result.error:
        raise result.error


def _reroll_text(frames: int, quote: "Quote", settings: "Settings") -> str:
    from pipelines.common.formatting import format_decimal

    simulated = ", simulated: sketches are free" if settings.simulated else ""
    return (
        f"{quote.generate} more {'take' if quote.generate == 1 else 'takes'} of {frames} "
        f"{'frame' if frames == 1 else 'frames'}: {format_decimal(quote.price.usd)} USD, "
        f"at worst {format_decimal(quote.worst_case_usd)} USD{simulated}"
    )


@storyreel.command()
@_board
@click.argument("frame")
@click.argument("take", type=click.IntRange(1))
@_output
@click.option("--model", help="Whose takes.  [default: flux-1-schnell or sketch]")
@_as_json
def pick(board: Path, frame: str, take: int, *, as_json: bool, **options: Any) -> None:
    """Choose which take a frame shows, and cut the film anew; it costs nothing.

    \b
    Example:
      storyreel takes my-film.yaml
      storyreel pick my-film.yaml 3 2
    """
    from pipelines.common.settings import load_settings
    from pipelines.run.local import pick, run_locally
    from pipelines.storyboard.loader import load_storyboard
    from pipelines.storyboard.plan import plan_frames
    from pipelines.storyboard.selection import ExtraTakes, select_frame

    settings, storyboard = load_settings(options), load_storyboard(board)
    planned = plan_frames(storyboard, model=settings.effective_model)
    spec = select_frame(planned, frame)
    pick(planned, settings, spec, take)
    say(f"{spec.label}: shows take {take}")
    summary = asyncio.run(run_locally(storyboard, settings, ExtraTakes()))
    if as_json:
        answer({"frame": spec.number, "take": take, **summary.as_json()})
    else:
        say(f"{summary.video or 'no film yet: some frames have no take; storyreel render buys them'}")


@storyreel.command()
@_board
@_output
@click.option("--model", help="Whose takes.  [default: flux-1-schnell or sketch]")
@_as_json
def takes(board: Path, *, as_json: bool, **options: Any) -> None:
    """List the takes of every frame: which one it shows, what each cost.

    \b
    Example:
      storyreel takes my-film.yaml
    """
    from pipelines.common.settings import load_settings
    from pipelines.report.take_list import take_lines, takes_json
    from pipelines.storyboard.loader import load_storyboard
    from pipelines.storyboard.plan import plan_frames
    from pipelines.takes.inventory import read_inventory

    settings = load_settings(options)
    planned = plan_frames(load_storyboard(board), model=settings.effective_model)
    frames = read_inventory(planned, settings).frames
    if as_json:
        answer(takes_json(planned.storyboard, frames, simulated=settings.simulated))
    else:
        say("\n".join(take_lines(frames)))


@storyreel.command()
@_board
@_output
@click.option("--model", help="Whose takes to show where there are any.  [default: flux-1-schnell or sketch]")
@click.option(
    "--scale", type=_Scale(), default="0.5", show_default=True, help="Of the film's width and height, up to 1."
)
@_as_json
def animatic(board: Path, *, scale: Decimal, as_json: bool, **options: Any) -> None:
    """Cut the whole film with free sketch cards in place of frames not yet bought; ask no endpoint.

    \b
    Example:
      storyreel animatic my-film.yaml
      storyreel animatic my-film.yaml --scale 1
    """
    from pipelines.common.settings import load_settings
    from pipelines.run.animatic import make_animatic
    from pipelines.storyboard.loader import load_storyboard

    storyboard = load_storyboard(board)
    made = asyncio.run(make_animatic(storyboard, load_settings(options), scale=scale))
    film, seconds = made.film, float(made.film.duration_s)
    if as_json:
        told = {"frames": made.frames, "cards": made.cards, "video": str(film.path), "video_seconds": seconds}
        answer({"storyboard": storyboard.id, **told})
    else:
        say(f"{film.path}: {seconds:.1f} s at {film.size}, {made.cards} of {made.frames} frames as sketch cards")


@storyreel.command()
@_board
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="On loopback.  [default: a free one]")
@click.option("--open/--no-open", "opens", default=True, show_default=True, help="Open the page in a browser.")
@_buying
@_capped
def review(board: Path, *, port: int, opens: bool, **options: Any) -> None:
    """Look at every frame in a browser, ask for more takes, pick, and see the film follow.

    \b
    Example:
      storyreel review my-film.yaml
    """
    import threading

    from pipelines.common.settings import load_settings
    from pipelines.review.server import open_review

    with open_review(board, load_settings(options), port=port) as room:
        say(f"the cutting room of {board} is on {room.address} (Ctrl-C closes it)")
        if opens:
            # Beside the server: the browser asks for the page at once.
            threading.Thread(target=_show, args=(room.address,), daemon=True).start()
        room.serve()


def _show(address: str) -> None:
    from pipelines.cli.opener import open_for_user

    if not open_for_user(address):
        say("no browser of this machine opens it; open that address yourself")


@storyreel.command()
@_board
@_output
@click.option("--csv", "csv_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the ledger here.")
@click.option("--verify", is_flag=True, help="Reconcile the books with the takes and the price list.")
@click.option("--settle", "attempt_id", type=int, metavar="ATTEMPT", help="Close an attempt of unknown outcome.")
@click.option("--cost", metavar="USD|none", help="With --settle: what it cost; none where nobody can find out.")
@click.option("--why", default="", help="With --settle: how you know.")
@_as_json
def ledger(
    board: Path,
    *,
    output: Path | None,
    csv_path: Path | None,
    verify: bool,
    attempt_id: int | None,
    cost: str | None,
    why: str,
    as_json: bool,
) -> None:
    """Show the account of a storyboard; reconcile it; settle what nobody answered.

    \b
    Example:
      storyreel ledger my-film.yaml --csv my-film.csv
      storyreel ledger my-film.yaml --verify
      storyreel ledger my-film.yaml --settle 17 --cost 0 --why "not on the invoice"
    """
    from pipelines.common.settings import load_settings
    from pipelines.report.statement import settle_attempt, statement_of
    from pipelines.storyboard.loader import load_storyboard

    if (attempt_id is None) != (cost is None):
        raise UsageError("--settle ATTEMPT and --cost USD|none go together")
    settings = load_settings({"output": output})
    storyboard = load_storyboard(board).id
    if attempt_id is not None and cost is not None:
        settle_attempt(settings, storyboard, attempt_id, cost=cost, why=why)
    statement = statement_of(settings, storyboard, verify=verify, csv_path=csv_path)
    if as_json:
        answer(statement.as_json())
    else:
        say("\n".join(statement.lines()))
    if statement.differences:
        raise IncompleteError("\n".join(statement.differences))
    if verify:
        say(f"{storyboard}: the books, the takes and the price list agree")


@storyreel.command()
@_board
@_output
@_as_json
def status(board: Path, *, output: Path | None, as_json: bool) -> None:
    """Say what a run is doing, what it has spent, when it will end; ask from another terminal, or after a crash.

    \b
    Example:
      storyreel status my-film.yaml
      watch storyreel status my-film.yaml
    """
    from pipelines.common.settings import load_settings
    from pipelines.report.status import status_of
    from pipelines.storyboard.loader import load_storyboard

    told = status_of(load_settings({"output": output}), load_storyboard(board).id)
    if as_json:
        answer(told.as_json())
    else:
        say("\n".join(told.lines()))


@storyreel.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 picks a free one.")
@click.option("--engine", type=click.Choice(["sketch"]), default="sketch", show_default=True)
@click.option("--latency", default="0", show_default=True, help="Seconds an answer takes, 2 or 3-10.")
@click.option("--rate-limit", type=click.IntRange(0), default=720, show_default=True, help="A minute; 0 for none.")
@click.option("--fault", "faults", multiple=True, metavar="KIND=RATE", help="Fail this share of requests; repeatable.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed serves the same answers.")
def serve(
    *, host: str, port: int, engine: str, latency: str, rate_limit: int, faults: tuple[str, ...], seed: int
) -> None:
    """Serve the FLUX API on loopback, for rehearsal and tests.

    \b
    Example:
      storyreel serve --port 8787 --latency 3-10 --fault server-error=0.2
      storyreel render my-film.yaml --endpoint http://127.0.0.1:8787 --model sketch
    """
    from pipelines.server.config import ServerConfig, parse_fault, parse_latency
    from pipelines.server.running import serve_forever

    config = ServerConfig(
        engine=engine,
        latency_s=parse_latency(latency),
        rate_limit=rate_limit,
        faults=tuple(parse_fault(fault) for fault in faults),
        seed=seed,
    )
    serve_forever(config, host=host, port=port)


@storyreel.command()
def schema() -> None:
    """Print the storyboard's JSON Schema.

    \b
    Example:
      storyreel schema > storyboard.schema.json
    """
    from pipelines.storyboard.format.schema import json_schema

    answer(json_schema())


@storyreel.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what lets a shell complete storyreel's commands, options and files.

    \b
    Example:
      storyreel completion bash
    \b
    To have it in every shell from now on:
      bash  echo 'eval "$(storyreel completion bash)"' >> ~/.bashrc
      zsh   echo 'eval "$(storyreel completion zsh)"' >> ~/.zshrc
      fish  storyreel completion fish > ~/.config/fish/completions/storyreel.fish
    """
    from click.shell_completion import get_completion_class

    completing = get_completion_class(shell)
    assert completing is not None
    click.echo(completing(storyreel, {}, "storyreel", "_STORYREEL_COMPLETE").source(), nl=False)


if __name__ == "__main__":
    main()
