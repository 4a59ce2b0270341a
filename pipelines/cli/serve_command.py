"""The command that serves the FLUX API: for rehearsal, or in front of another endpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipelines.cli.logs import LoggedCommand
from pipelines.cli.options import print_endpoint_notice, print_message
from pipelines.common.errors import UsageError

if TYPE_CHECKING:
    from pipelines.common.settings import Settings
    from pipelines.server.config import ServerConfig

_UPSTREAM = "upstream"


@click.command(cls=LoggedCommand)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 picks a free one.")
@click.option(
    "--engine",
    type=click.Choice(["sketch", "plain", _UPSTREAM]),
    default="sketch",
    show_default=True,
    help="What makes the images: drawings, or another endpoint.",
)
@click.option("--latency", metavar="SECONDS", help="Seconds that an answer takes: 2, or 3-10.  [default: 0]")
@click.option(
    "--rate-limit",
    type=click.IntRange(0),
    help="Requests a minute that are allowed; 0 for any number.  [default: 720]",
)
@click.option("--fault", "faults", multiple=True, metavar="KIND=RATE", help="Fail this share of requests; repeatable.")
@click.option("--seed", type=int, help="The same seed gives the same answers.  [default: 0]")
@click.option("--endpoint", help="With upstream: its address.  [default: STORYREEL_ENDPOINT]")
@click.option("--dialect", help="With upstream: the language that it speaks.  [default: as its address tells]")
@click.option("--model", help="With upstream: the model to ask for.  [default: flux-1-schnell]")
@click.option("--price", "price_usd", metavar="USD", help="With upstream: most that an image may cost; see render.")
@click.option(
    "--book",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With upstream: the file that has a row for each request.  [default: storyreel-serve.db]",
)
def serve(
    *,
    host: str,
    port: int,
    engine: str,
    latency: str | None,
    rate_limit: int | None,
    faults: tuple[str, ...],
    seed: int | None,
    book: Path | None,
    **asked: str | None,
) -> None:
    """Serve the FLUX API: for rehearsal, or before an endpoint.

    It answers programs, and web pages of every origin, as the API is documented. Drawings cost nothing. With
    --engine upstream each request is sent on, once, with the token of STORYREEL_API_TOKEN, and costs what the endpoint
    bills; pages may then ask only with a token.

    Where STORYREEL_SERVE_TOKEN is set, requests must carry that token; with a --host beyond this machine it must be.

    \b
    Kinds of fault that bill nothing:
      rate-limit, server-error, authentication, refused, html
    \b
    Kinds of fault that bill the image:
      hang, reset, truncate, corrupt, jpeg, wrong-size
    \b
    Example:
      storyreel serve --port 8787 --latency 3-10 --fault server-error=0.2
      storyreel render my-film.yaml --endpoint http://127.0.0.1:8787 --model sketch
    \b
    Example of another endpoint behind it:
      storyreel serve --engine upstream --endpoint https://flux-image-generator.example.workers.dev
    """
    from pipelines.common.settings import load_serve_token, load_settings, option_name
    from pipelines.server.description import Service, example_request
    from pipelines.server.running import serve_forever

    drawing = {"--latency": latency, "--fault": faults or None, "--seed": seed}
    token = load_serve_token()
    if engine == _UPSTREAM:
        _refuse(drawing, "is for the engines that draw; what an endpoint answers is passed on as it is")
        config = _passing_on(load_settings({**asked, "rate_limit": rate_limit or None}), book, limited=rate_limit != 0)
    else:
        upstream = {option_name(name): value for name, value in asked.items()}
        _refuse({**upstream, "--book": book}, "is for --engine upstream")
        config = _drawing(engine, latency or "0", 720 if rate_limit is None else rate_limit, faults, seed or 0)
    config = replace(config, token=token.get_secret_value() if token else None)

    def announce(address: str) -> None:
        service = Service(real=config.upstream is not None, token=token is not None)
        print_message(
            f"storyreel serves the FLUX API on {address}{_behind(config)} (Ctrl-C ends it)\n"
            f"  {example_request(address, service)}"
        )

    serve_forever(config, host=host, port=port, on_listening=announce)


def _refuse(options: Mapping[str, object], why: str) -> None:
    """Refuse options that do nothing with this engine, rather than ignore them."""
    for option, value in options.items():
        if value is not None:
            raise UsageError(f"{option}: {why}")


def _drawing(engine: str, latency: str, rate_limit: int, faults: Sequence[str], seed: int) -> "ServerConfig":
    from pipelines.server.config import EngineKind, ServerConfig, parse_fault, parse_latency

    return ServerConfig(
        engine=EngineKind(engine),
        latency_s=parse_latency(latency),
        rate_limit=rate_limit,
        faults=tuple(parse_fault(fault) for fault in faults),
        seed=seed,
    )


def _passing_on(settings: "Settings", book: Path | None, *, limited: bool) -> "ServerConfig":
    from pipelines.endpoints.choice import with_listed_rate_limit
    from pipelines.endpoints.connection import endpoint_at, timeouts_of
    from pipelines.server.config import EngineKind, ServerConfig, UpstreamConfig

    if settings.endpoint is None:
        raise UsageError("--engine upstream: needs an endpoint to ask; give --endpoint, or set STORYREEL_ENDPOINT")
    endpoint = endpoint_at(settings.endpoint, settings)
    print_endpoint_notice(settings)
    upstream = UpstreamConfig(
        endpoint=endpoint,
        book=book or Path("storyreel-serve.db"),
        timeouts=timeouts_of(settings),
        concurrency=settings.concurrency,
        max_body_bytes=settings.max_body_mib << 20,
    )
    rate_limit = with_listed_rate_limit(settings).rate_limit if limited else 0
    return ServerConfig(engine=EngineKind.UPSTREAM, rate_limit=rate_limit, upstream=upstream)


def _behind(config: "ServerConfig") -> str:
    """Return what stands behind the API, and where its book is kept, for people."""
    from pipelines.common.addresses import without_secrets

    if config.upstream is None:
        return ""
    endpoint = config.upstream.endpoint
    return f" in front of {without_secrets(endpoint.url)}, model {endpoint.model.name}; book {config.upstream.book}"
