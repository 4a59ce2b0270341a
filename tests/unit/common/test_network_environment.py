"""What the environment says of the network, where nothing can be done with it."""

from pathlib import Path

import certifi
import pytest

from pipelines.common.errors import UsageError
from pipelines.common.network_environment import require_readable_certificates, require_usable_proxies


@pytest.mark.parametrize(
    ("value", "usable"),
    [("socks5://x:1", False), ("SOCKS4://x:1", False), ("proxy:3128", True), ("http://[::1", True), ("", True)],
)
def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, usable: bool) -> None:
    """Without a scheme it is one of HTTP; whether its address can be read is seen later."""
    monkeypatch.setenv("all_proxy", value)

    try:
        require_usable_proxies()
        passed = True
    except UsageError as error:
        assert str(error).startswith("all_proxy: names a proxy that cannot be used")
        passed = False

    assert passed is usable


@pytest.mark.parametrize(
    ("name", "contents", "reason"),
    [
        ("gone.pem", None, "No such file or directory"),
        ("empty.pem", b"", "no certificates"),
        ("words.pem", b"no certificates at all", "no certificates"),
    ],
)
def test_certificates_that_cannot_be_read_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, contents: bytes | None, reason: str
) -> None:
    """By the variable and the file."""
    path = tmp_path / name
    if contents is not None:
        path.write_bytes(contents)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))

    with pytest.raises(UsageError) as raised:
        require_readable_certificates()

    assert str(raised.value).startswith(f"SSL_CERT_FILE: {path}: cannot be read: {reason};")


@pytest.mark.parametrize("path", ["", certifi.where()])
def test_certificates_that_can_be_read_pass(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """An empty variable names none."""
    monkeypatch.setenv("SSL_CERT_FILE", path)

    require_readable_certificates()
