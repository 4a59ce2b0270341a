"""Films through each dialect: complete, with an account that agrees with the seller's; and what goes wrong there."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.conftest import Board, Ended, Storyreel
from tests.support.accounts import QUICK, rows
from tests.support.sellers.openai_images import DALL_E, GPT_IMAGE
from tests.support.sellers.openai_images import error_reply as openai_error
from tests.support.sellers.seller import (
    TOKEN,
    Asked,
    Reply,
    Seller,
    broken_off,
    instead,
    json_reply,
    on,
)
from tests.support.sellers.workers_ai import ACCOUNT, GATEWAY, KLEIN, SCHNELL, WorkersAI
from tests.support.sellers.workers_ai import error_reply as cloudflare_error

OUTPUT = Path("outputs/film")
# What each dialect is asked with, and where its sellers are found.
REST = {"STORYREEL_MODEL": SCHNELL}
THROUGH_GATEWAY = {"STORYREEL_MODEL": SCHNELL, "STORYREEL_DIALECT": "cloudflare"}
IMAGES = {"STORYREEL_MODEL": DALL_E, "STORYREEL_DIALECT": "openai"}


def render(storyreel: Storyreel, board: Path, address: str, **settings: str) -> Ended:
    """Render a storyboard at an endpoint that is named by variables alone."""
    named = {"STORYREEL_ENDPOINT": address, "STORYREEL_API_TOKEN": TOKEN}
    return storyreel("render", str(board), "--json", **{**QUICK, **named, **settings})


def rest(seller: Seller) -> str:
    """Return the address of its account."""
    return f"{seller.url}/client/v4/accounts/{ACCOUNT}"


def gateway(seller: Seller) -> str:
    """Return the address of its gateway."""
    return f"{seller.url}/v1/{ACCOUNT}/{GATEWAY}"


def images(seller: Seller) -> str:
    """Return the address before /images/generations."""
    return f"{seller.url}/v1"


def accounted(column: str = "cost_usd") -> list[str]:
    """Return a column of the ledger."""
    return [row[column] for row in rows(OUTPUT)]


def charged() -> Decimal:
    """Return the sum of the costs in the ledger."""
    return sum((Decimal(cost) for cost in accounted() if cost), Decimal(0))


# What goes well


@pytest.mark.parametrize("address", [rest, gateway])
def test_a_film_through_cloudflare(
    storyreel: Storyreel, board: Board, workers_ai: Seller, address: Callable[[Seller], str]
) -> None:
    """Over REST or through a gateway: every frame in one request, and each bill as its header states it."""
    ended = render(storyreel, board(frames=4), address(workers_ai), **THROUGH_GATEWAY)

    assert (ended.exit_code, ended.json["state"], ended.json["generated"]) == (0, "Completed", 4)
    assert (len(workers_ai.asked), accounted("status"), accounted("cost_basis")) == (4, ["ok"] * 4, ["stated"] * 4)
    assert charged() == workers_ai.billed_usd == Decimal(ended.json["cost_usd"]) == 4 * Decimal("0.0003168")
    assert Decimal(ended.json["neurons"]) == 4 * Decimal("28.8")
    assert ended.json["uncertain_usd"] == "0"


def test_a_film_of_a_form_through_cloudflare(storyreel: Storyreel, tmp_path: Path, workers_ai: Seller) -> None:
    """FLUX.2 is asked by a form, makes the size that it is asked for, and bills its tiles by area."""
    board = tmp_path / "film.yaml"
    board.write_text("output: {fps: 12, size: 64x36}\ndefaults: {aspect: 16:9, hold: 250ms}\nprompts: [a, b, c, d]\n")

    ended = render(storyreel, board, rest(workers_ai), STORYREEL_MODEL=KLEIN)

    assert (ended.exit_code, ended.json["generated"], accounted("cost_basis")) == (0, 4, ["stated"] * 4)
    assert {(row["width"], row["height"]) for row in rows(OUTPUT)} == {("1344", "768")}
    assert charged() == workers_ai.billed_usd == 4 * Decimal("0.0011462")


def test_a_film_through_openai_s_api(storyreel: Storyreel, board: Board, openai_images: Seller) -> None:
    """Its answers state no cost: each is estimated by the price list, and said to be."""
    ended = render(storyreel, board(frames=4), images(openai_images), **IMAGES)

    assert (ended.exit_code, ended.json["state"], ended.json["generated"]) == (0, "Completed", 4)
    assert (len(openai_images.asked), accounted("status")) == (4, ["ok"] * 4)
    assert accounted("cost_basis") == ["estimated"] * 4
    assert charged() == openai_images.billed_usd == 4 * Decimal("0.04")
    assert str(charged()) == ended.json["cost_usd"] == ended.json["estimated_usd"]


def test_a_film_that_is_billed_by_tokens(storyreel: Storyreel, board: Board, openai_images: Seller) -> None:
    """They stand in the body, and take the place of the estimate."""
    ended = render(storyreel, board(frames=4), images(openai_images), STORYREEL_MODEL=GPT_IMAGE)

    assert (ended.exit_code, ended.json["generated"], accounted("cost_basis")) == (0, 4, ["stated"] * 4)
    # 5 words and 4,160 tokens of a picture each.
    assert charged() == openai_images.billed_usd == 4 * Decimal("0.166425")
    assert (ended.json["estimated_usd"], ended.json["neurons"]) == ("0", None)


def test_tokens_and_gateways_of_one_account_share_its_takes_and_its_limit(
    storyreel: Storyreel, board: Board, workers_ai: Seller
) -> None:
    """The account is one endpoint, however it is asked."""
    workers_ai.tokens.add("another-token-of-the-account")
    render(storyreel, board(frames=2), rest(workers_ai), **THROUGH_GATEWAY)

    again = {"STORYREEL_API_TOKEN": "another-token-of-the-account", **THROUGH_GATEWAY}
    ended = render(storyreel, board(frames=3), gateway(workers_ai), **again)

    assert (ended.exit_code, ended.json["reused"], ended.json["generated"]) == (0, 2, 1)
    assert set(accounted("endpoint")) == {rest(workers_ai)}


def test_an_address_tells_its_dialect(storyreel: Storyreel, board: Board, workers_ai: Seller) -> None:
    """Nothing but the address and the model is named."""
    ended = render(storyreel, board(frames=1), rest(workers_ai), **REST)

    assert (ended.exit_code, len(workers_ai.book)) == (0, 1)


# What goes wrong


def test_bills_that_change_in_mid_run_are_those_of_the_ledger(
    storyreel: Storyreel, board: Board, workers_ai: Seller
) -> None:
    """What an answer states counts, whatever the list says."""

    def dearer(asked: Asked, due: Reply) -> Reply:
        if asked.number < 3:
            return due
        return replace(due, headers={**due.headers, "cf-ai-neurons": "99.99"}, cost_usd=Decimal("0.00109989"))

    workers_ai.fault = dearer

    ended = render(storyreel, board(frames=4), rest(workers_ai), **REST)

    assert ended.exit_code == 0
    assert sorted(accounted()) == ["0.0003168", "0.0003168", "0.00109989", "0.00109989"]
    assert charged() == workers_ai.billed_usd


def test_a_lack_of_capacity_under_200_is_waited_for(storyreel: Storyreel, board: Board, workers_ai: Seller) -> None:
    """`success: false` in the picture's place; without a bill its cost is not known."""
    refused = replace(cloudflare_error(200, 3040, "3040: Capacity temporarily exceeded"), status=200)
    workers_ai.fault = on({1: instead(refused)})

    ended = render(storyreel, board(frames=2), rest(workers_ai), **REST)

    assert (ended.exit_code, ended.json["generated"], len(workers_ai.asked)) == (0, 2, 3)
    assert sorted(accounted("status")) == ["ok", "ok", "unusable"]
    assert charged() == workers_ai.billed_usd
    assert Decimal(ended.json["uncertain_usd"]) > 0


@pytest.mark.parametrize("status", [200, 403])
def test_a_token_that_an_answer_quotes_is_not_told(
    storyreel: Storyreel, board: Board, workers_ai: Seller, status: int
) -> None:
    """Under whatever status: its words go to the terminal, the log and the ledger."""
    workers_ai.fault = lambda asked, due: cloudflare_error(status, 10000, f"not allowed for {TOKEN}")

    ended = render(storyreel, board(frames=1), rest(workers_ai), **REST)

    assert (ended.exit_code, TOKEN in ended.stderr + ended.stdout) == (5, False)
    assert "not allowed for ***" in ended.stderr
    assert TOKEN not in (OUTPUT / "ledger.csv").read_text()


@pytest.mark.parametrize("status", [200, 429])
def test_a_used_up_allocation_stops_the_run(
    storyreel: Storyreel, board: Board, workers_ai: Seller, status: int
) -> None:
    """Under whatever status it is said."""
    said = "AiError: 4006: you have used up your daily free allocation of 10,000 neurons"
    workers_ai.fault = lambda asked, due: cloudflare_error(status, 4006, said)

    ended = render(storyreel, board(frames=1), rest(workers_ai), **REST)

    assert (ended.exit_code, len(workers_ai.asked)) == (5, 1)
    assert "its daily allocation is used up; run again after 00:00 UTC" in ended.stderr


@pytest.mark.parametrize("address", [rest, images])
def test_base64_that_breaks_off_is_billed_and_asked_again(
    storyreel: Storyreel, board: Board, workers_ai: Seller, openai_images: Seller, address: Callable[[Seller], str]
) -> None:
    """The half of a picture is none; its cost is in the ledger."""
    seller, settings = (workers_ai, REST) if address is rest else (openai_images, IMAGES)
    seller.fault = on({2: broken_off})

    ended = render(storyreel, board(frames=2), address(seller), **settings)

    assert (ended.exit_code, ended.json["generated"], len(seller.book)) == (0, 2, 3)
    assert sorted(accounted("status")) == ["ok", "ok", "unusable"]
    assert len([cost for cost in accounted() if cost]) == 3
    (error,) = filter(None, accounted("error"))
    assert error.startswith("the body broke off: ")


def test_a_data_url_is_a_picture(storyreel: Storyreel, board: Board, openai_images: Seller) -> None:
    """In the place of a link."""

    def as_data_url(_: Asked, due: Reply) -> Reply:
        encoded = due.json["data"][0]["b64_json"]
        return json_reply(200, {"data": [{"url": f"data:image/png;base64,{encoded}"}]}, cost_usd=due.cost_usd)

    openai_images.fault = as_data_url

    ended = render(storyreel, board(frames=1), images(openai_images), **IMAGES)

    assert (ended.exit_code, accounted("status")) == (0, ["ok"])


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("http://{host}/a.png", "is not one of https, and is not followed"),
        ("https://{host}/a.png", "leads to 127.0.0.1, which is not of the public Internet, and is not followed"),
        ("https://169.254.169.254/latest", "leads to 169.254.169.254, which is not of the public Internet"),
    ],
)
def test_a_link_into_this_network_is_not_followed(
    storyreel: Storyreel, board: Board, openai_images: Seller, link: str, words: str
) -> None:
    """The words say why, the answer is kept, and nothing but the API was asked."""
    there = link.format(host=openai_images.url.removeprefix("http://"))
    openai_images.fault = lambda asked, due: json_reply(200, {"data": [{"url": there}]}, cost_usd=due.cost_usd)

    ended = render(storyreel, board(frames=1), images(openai_images), STORYREEL_MAX_RESENDS="0", **IMAGES)

    (row,) = rows(OUTPUT)
    assert (ended.exit_code, row["status"], row["cost_basis"]) == (4, "unusable", "estimated")
    assert words in row["error"]
    assert {asked.path for asked in openai_images.asked} == {"/v1/images/generations"}
    (kept,) = OUTPUT.rglob(Path(row["error"].rpartition("kept as ")[2]).name)
    assert json.loads(kept.read_bytes()) == {"data": [{"url": there}]}


def test_a_hundred_megabytes_of_json_are_no_picture(storyreel: Storyreel, board: Board, workers_ai: Seller) -> None:
    """No more is read of them than a picture may have, and the frame is asked for again."""
    huge = Reply(200, b'{"result": {"image": "' + b"A" * (100 << 20), {"cf-ai-neurons": "28.80"}, Decimal("0.0003168"))
    workers_ai.fault = on({1: instead(huge)})

    ended = render(storyreel, board(frames=1), rest(workers_ai), STORYREEL_MAX_BODY_MIB="4", **REST)

    assert (ended.exit_code, accounted("status"), charged()) == (0, ["unusable", "ok"], workers_ai.billed_usd)
    assert accounted("error")[0].startswith("a body of more than 4 MiB; raise max_body_mib")


@pytest.mark.parametrize("address", [rest, images])
def test_a_token_that_expires_in_mid_run_stops_it(
    storyreel: Storyreel, board: Board, workers_ai: Seller, openai_images: Seller, address: Callable[[Seller], str]
) -> None:
    """What was generated is kept, and the next run completes it."""
    seller, settings = (workers_ai, REST) if address is rest else (openai_images, IMAGES)
    seller.fault = lambda asked, due: due if asked.number < 3 else seller.shop.unauthorized()
    path = board(frames=4)

    ended = render(storyreel, path, address(seller), STORYREEL_CONCURRENCY="1", **settings)
    seller.fault = lambda asked, due: due
    completed = render(storyreel, path, address(seller), **settings)

    assert (ended.exit_code, ended.json["state"], ended.json["generated"]) == (5, "EndpointUnavailable", 2)
    assert "check the token (STORYREEL_API_TOKEN, or the variable that the storyboard names)" in ended.stderr
    assert TOKEN not in ended.stderr
    assert (completed.exit_code, completed.json["reused"], completed.json["generated"]) == (0, 2, 2)
    assert accounted("status").count("refused") == 1
    assert len(seller.book) == 4


@pytest.mark.parametrize(
    ("address", "model", "words"),
    [
        (rest, "@cf/no/such", "No such model @cf/no/such or task"),
        (images, "no-such", "The model 'no-such' does not exist"),
    ],
)
def test_a_model_that_does_not_exist_stops_the_run(
    storyreel: Storyreel,
    board: Board,
    workers_ai: Seller,
    openai_images: Seller,
    address: Callable[[Seller], str],
    model: str,
    words: str,
) -> None:
    """At the first answer, with its words and the cure."""
    seller = workers_ai if address is rest else openai_images
    settings = {"STORYREEL_MODEL": model, "STORYREEL_PRICE_USD": "0.04"}

    ended = render(storyreel, board(frames=3), address(seller), STORYREEL_CONCURRENCY="1", **settings)

    assert (ended.exit_code, len(seller.asked), seller.book) == (5, 1, [])
    assert words in ended.stderr
    assert "check --model" in ended.stderr


@pytest.mark.parametrize(
    ("address", "words"), [("/client/v4/accounts/another", "Could not route"), (f"/v1/{ACCOUNT}/another", "AI Gateway")]
)
def test_an_account_or_gateway_that_does_not_exist_stops_the_run(
    storyreel: Storyreel, board: Board, workers_ai: Seller, address: str, words: str
) -> None:
    """It is the address that is wrong."""
    ended = render(storyreel, board(frames=1), workers_ai.url + address, **THROUGH_GATEWAY)

    assert (ended.exit_code, len(workers_ai.asked)) == (5, 1)
    assert words in ended.stderr
    assert "check --endpoint and --dialect" in ended.stderr


def test_an_account_without_credit_stops_the_run(storyreel: Storyreel, board: Board, openai_images: Seller) -> None:
    """Though it is said under 429, waiting is of no use."""
    said = "You exceeded your current quota, please check your plan and billing details."
    openai_images.fault = lambda asked, due: openai_error(429, said, "insufficient_quota", "insufficient_quota")

    ended = render(storyreel, board(frames=3), images(openai_images), STORYREEL_CONCURRENCY="1", **IMAGES)

    assert (ended.exit_code, len(openai_images.asked), accounted("status")) == (5, 1, ["refused"])
    assert "the account has no credit left; add some or raise its limit with the seller" in ended.stderr


def test_a_rate_limit_of_openai_s_is_waited_for(storyreel: Storyreel, board: Board, openai_images: Seller) -> None:
    """As long as it says, to the millisecond."""
    slow = openai_error(429, "Rate limit reached", "rate_limit_exceeded", "images")
    slow = replace(slow, headers={**slow.headers, "retry-after-ms": "20", "Retry-After": "4000"})
    openai_images.fault = on({1: instead(slow)})

    ended = render(storyreel, board(frames=2), images(openai_images), **IMAGES)

    assert (ended.exit_code, ended.json["generated"]) == (0, 2)
    assert sorted(accounted("status")) == ["ok", "ok", "rate_limited"]


def test_a_prompt_that_is_refused_has_its_fallback_tried(
    storyreel: Storyreel, tmp_path: Path, openai_images: Seller
) -> None:
    """By OpenAI's code, under a status that fails a frame otherwise."""
    path = tmp_path / "film.yaml"
    path.write_text(
        "output: {fps: 12, size: 64x64}\ndefaults: {aspect: 1:1}\n"
        "scenes: [{shots: [{prompt: an unsafe harbor, fallback_prompts: [a safe harbor], hold: 250ms}]}]\n"
    )

    ended = render(storyreel, path, images(openai_images), **IMAGES)

    assert (ended.exit_code, len(openai_images.book)) == (0, 1)
    assert [row["prompt"] for row in rows(OUTPUT)] == ["an unsafe harbor", "an unsafe harbor", "a safe harbor"]


def two_alike(folder: Path) -> Path:
    """Write a storyboard whose two frames are asked for alike."""
    path = folder / "film.yaml"
    path.write_text(
        "output: {fps: 12, size: 64x64}\ndefaults: {aspect: 1:1, hold: 250ms}\nprompts: [a harbor, a harbor]\n"
    )
    return path


def test_a_gateway_s_cache_is_skipped(storyreel: Storyreel, tmp_path: Path, workers_ai: Seller) -> None:
    """Each take is another picture, and paid for."""
    ended = render(storyreel, two_alike(tmp_path), gateway(workers_ai), **THROUGH_GATEWAY)

    assert (ended.exit_code, accounted("remarks"), len(workers_ai.book)) == (0, ["", ""], 2)


def test_a_gateway_that_answers_two_takes_with_one_picture_is_told(
    storyreel: Storyreel, tmp_path: Path, workers_ai: Seller
) -> None:
    """On the terminal and in the ledger; it was asked not to."""
    workers_ai.shop = WorkersAI(stubborn_cache=True)

    ended = render(storyreel, two_alike(tmp_path), gateway(workers_ai), STORYREEL_CONCURRENCY="1", **THROUGH_GATEWAY)

    assert (ended.exit_code, charged()) == (0, workers_ai.billed_usd)
    assert "has the same bytes as take 1 of frame 0 of film" in ended.stderr
    assert accounted("remarks") == ["", "has the same bytes as take 1 of frame 0 of film"]
