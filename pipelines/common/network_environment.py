"""What the environment says of the network: proxies and certificates, checked before anything is sent through them."""

import os

from pipelines.common.errors import UsageError

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_CERTIFICATES = "SSL_CERT_FILE"


def require_usable_proxies() -> None:
    """Refuse a proxy of a kind that httpx, and so Prefect's client, cannot even be made with.

    Raises:
        UsageError: there is one.
    """
    for name, value in os.environ.items():
        # Without a scheme, httpx takes it for http.
        kind = value.partition("://")[0].lower() if "://" in value else "http"
        if name.upper() in _PROXIES and kind not in ("http", "https"):
            raise UsageError(
                f"{name}: names a proxy that cannot be used, of the kind {kind!r}; name an http:// one, or unset it; "
                "nothing was sent"
            )


def require_readable_certificates() -> None:
    """Refuse a file of certificates that cannot be read: no client of httpx can be made with it, for whatever address.

    Raises:
        UsageError: the environment names one.
    """
    path = os.environ.get(_CERTIFICATES)
    if not path:
        return
    # Here and not above: few need it, and it takes a while.
    import ssl

    try:
        ssl.create_default_context(cafile=path)
    except OSError as exc:
        # What is wrong with the contents comes out as an error of OpenSSL, which is one of these too.
        reason = "no certificates" if isinstance(exc, ssl.SSLError) else exc.strerror
        raise UsageError(
            f"{_CERTIFICATES}: {path}: cannot be read: {reason}; let it name a file of certificates in PEM, or unset "
            "it; nothing was sent"
        ) from exc
