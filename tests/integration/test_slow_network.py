"""The slow network that tests put before a Postgres: how long it takes, and what it counts."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import Postgres, database_for
from tests.support.slow_network import SlowNetwork, slow_network

ROUND_TRIP_S = 0.1
MANY = 20


def connected(network: SlowNetwork, url: str) -> "psycopg.Connection[tuple[object, ...]]":
    """Open a connection through the network."""
    return psycopg.connect(network.url(url).replace("+psycopg", ""), autocommit=True)


@pytest.fixture
def url(tmp_path: Path, postgres: Postgres) -> str:
    """Return the address of a database."""
    return database_for(tmp_path, postgres.port)


@pytest.fixture
def network(postgres: Postgres) -> Iterator[SlowNetwork]:
    """Yield a network that is slow enough to be seen."""
    with slow_network(postgres.port, round_trip_s=ROUND_TRIP_S) as network:
        yield network


def test_each_round_trip_is_counted_and_takes_its_time(network: SlowNetwork, url: str) -> None:
    """One statement after another, each waits for the answer to the one before."""
    with connected(network, url) as connection:
        before, began_s = network.round_trips, time.monotonic()
        for number in range(3):
            connection.execute(f"SELECT {number}")
        took_s = time.monotonic() - began_s

    assert (network.connections, network.round_trips - before) == (1, 3)
    assert took_s >= 3 * ROUND_TRIP_S


def test_what_is_sent_in_one_go_is_one_round_trip(network: SlowNetwork, url: str) -> None:
    """And takes as long as one: what follows does not wait for what went before."""
    with connected(network, url) as connection:
        before, began_s = network.round_trips, time.monotonic()
        with connection.pipeline():
            cursors = [connection.execute(f"SELECT {number}") for number in range(MANY)]
        took_s = time.monotonic() - began_s
        answers = [cursor.fetchone() for cursor in cursors]

    assert answers == [(number,) for number in range(MANY)]
    assert network.round_trips - before == 1
    assert ROUND_TRIP_S <= took_s < MANY * ROUND_TRIP_S / 2


def test_much_data_comes_through_whole(network: SlowNetwork, url: str) -> None:
    """Both ways, in many pieces; it is one round trip all the same."""
    much = "reel" * 1_000_000
    with connected(network, url) as connection:
        before = network.round_trips
        answer = connection.execute("SELECT %s || 'x'", [much]).fetchone()

    assert answer == (much + "x",)
    assert network.round_trips - before == 1


def test_the_end_of_a_connection_is_passed_on(url: str, postgres: Postgres) -> None:
    """The server has no session left of a client that is gone."""
    with slow_network(postgres.port) as network, connected(network, url) as watching:
        connected(network, url).close()
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        while watching.execute(sessions).fetchone() != (1,):
            time.sleep(0.01)

    assert network.connections == 2


def test_a_server_that_is_away_refuses(url: str) -> None:
    """The client hears so at once."""
    with slow_network(1) as network, pytest.raises(psycopg.OperationalError):
        connected(network, url)
