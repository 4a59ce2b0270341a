"""Addresses: however an endpoint is spelled, it has one name; which of them stay here, and what may be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.common.addresses import is_loopback, is_public, normalize, without_secrets

SPELLINGS = {
    "http://127.0.0.1:8787": [
        "http://127.0.0.1:8787/",
        "http://LOCALHOST:8787",
        "http://localhost:08787",
        "http://localhost.:8787/",
        "HTTP://%6cocalhost:8787",
        "http://127.1:8787",
        "http://127.0.0.2:8787",
        "http://0x7f000001:8787",
        "http://2130706433:8787",
        "http://0177.0.0.1:8787",
        "http://[::1]:8787",
        "http://[0:0:0:0:0:0:0:1]:8787",
        "http://[::ffff:127.0.0.1]:8787",
        "http://[::ffff:7f00:1]:8787",
        "http://0.0.0.0:8787",
        "http://[::ffff:0.0.0.0]:8787",
        "http://[::]:8787",
        "http://flux.localhost:8787",
        "http://user:pw@localhost:8787?key=S#top",
    ],
    "https://flux.example.dev": [
        "https://FLUX.example.dev.",
        "https://flux.example.dev:443/",
        "https://flux.example.dev:0443",
        "https://flux.example.dev//",
        "https://flux.example.dev/./",
        "https://flux.example.dev/a/../",
        "https://flux.example.dev/../..",
        "https://f%6Cux.example.dev",
    ],
    "https://flux.example.dev/v1/~amy/a%20b%2Fc": [
        "https://flux.example.dev/v1/%7Eamy/a b%2fc",
        "https://flux.example.dev/v1/%7eamy/a%20b%2Fc/",
        "https://flux.example.dev/v2/../v1/./~amy/a%20b%2fc",
    ],
    "http://xn--mnchen-3ya.example": ["http://münchen.example", "http://MÜNCHEN.example:80", "http://XN--mnchen-3ya.example"],
    "http://[2001:db8::1]:81": ["http://[2001:DB8:0::0:1]:81", "http://[2001:0db8:0000:0:0:0:0:1]:081/"],
    "http://10.0.0.1": ["http://10.1", "http://0xa.0.0.1:80"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "spelling"), [(name, each) for name in SPELLINGS for each in SPELLINGS[name]])
def test_all_spellings_of_an_address_are_one(name: str, spelling: str) -> None:
    """So all runs that ask it share one limit."""
    assert normalize(spelling) == normalize(name) == name


@pytest.mark.parametrize(
    "pair",
    [
        ("http://localhost:8787", "http://localhost:8788"),
        ("http://flux.example.dev", "https://flux.example.dev"),
        ("https://flux.example.dev/a", "https://flux.example.dev/A"),
        ("https://flux.example.dev/a", "https://flux.example.dev/b"),
        ("https://flux.example.dev/a%2Fb", "https://flux.example.dev/a/b"),
        ("https://flux.example.dev", "https://flux.example.com"),
        ("http://localhost", "http://localhost.example.dev"),
        ("http://127.0.0.1", "http://128.0.0.1"),
    ],
)
def test_different_addresses_stay_different(pair: tuple[str, str]) -> None:
    """A limit that is not shared must not be."""
    assert normalize(pair[0]) != normalize(pair[1])


@given(path=st.text(st.characters(codec="utf-8", exclude_characters="?#\n\r\t"), max_size=40))
def test_a_name_is_its_own_name(path: str) -> None:
    """What is normalized once is normal, whatever stands in the path."""
    once = normalize(f"http://flux.example.dev/{path}")

    assert normalize(once) == once


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


PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
NOT_PUBLIC = [
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("192.0.2.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1"),
    *("fec0::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "2002:808:808::", "64:ff9b::7f00:1"),
    *("64:ff9b::a00:1", "64:ff9b:1::1"),
]


@pytest.mark.parametrize(("address", "public"), [*((a, True) for a in PUBLIC), *((a, False) for a in NOT_PUBLIC)])
def test_an_address_is_public_or_leads_somewhere_near(address: str, public: bool) -> None:
    """This machine, private networks, a carrier's, metadata services; also inside an IPv6 address."""
    assert is_public(address) is public
