"""Addresses: which of them stay on this machine, and what of them may be shown."""

import pytest

from pipelines.common.addresses import is_loopback, without_secrets


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1.2.3",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
    ],
)
def test_a_host_of_this_machine_is_loopback(host: str) -> None:
    """By address, or by a name that is reserved for it."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "128.0.0.1", "0.0.0.0", "::", "::ffff:10.0.0.1", "localhost.example.com", "notlocalhost", "127.0.0.1.nip.io"],
)
def test_any_other_host_is_not(host: str) -> None:
    """Also not one whose name only looks like it."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://amy:pw@host:81/v1/?key=S#x", "http://host:81/v1/"),
        ("https://a@b@host", "https://host"),
        ("http://[::1]:8787", "http://[::1]:8787"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, expected: str) -> None:
    """User, password and query are left out."""
    assert without_secrets(url) == expected
