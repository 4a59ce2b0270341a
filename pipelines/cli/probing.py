"""Probing endpoints from the command line: what `check --probe` tells people and programs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.cli.asynchronous import run_to_end
from pipelines.cli.options import print_endpoint_notice, print_message
from pipelines.common.errors import EndpointError
from pipelines.common.settings import EMBEDDED_ENDPOINT, Settings
from pipelines.endpoints.choice import chosen_dialect

if TYPE_CHECKING:
    from pipelines.endpoints.probing import Probe

# Less is the network's, and does no harm.
_NOTABLE_S = 5


@dataclass(frozen=True, slots=True)
class ProbedEndpoint:
    """The endpoint of a storyboard, as it was found.

    Attributes:
        settings: those of a run of it.
        found: None for the embedded one, which was not asked.
    """

    settings: Settings
    found: "Probe | None" = None

    @property
    def error(self) -> EndpointError | None:
        """Why it is of no use; None where it is."""
        return self.found.error if self.found else None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values; null is what is not known."""
        answer = self.found.answer if self.found else None
        return {
            "url": self.found.address if self.found else EMBEDDED_ENDPOINT,
            "dialect": chosen_dialect(self.settings).name,
            "model": self.settings.effective_model,
            "reachable": answer is not None if self.found else None,
            "token_ok": answer.token_ok if answer else None,
            "clock_offset_s": self.found.clock_offset_s if self.found else None,
        }


def probe_endpoints(runs: Iterable[Settings]) -> list[ProbedEndpoint]:
    """Ask the endpoint of each run once, for free, and say what came of it.

    Raises:
        UsageError: a secret would be sent in clear, or cannot be sent.
    """
    settings = list(runs)
    print_endpoint_notice(*settings)
    found: dict[object, ProbedEndpoint] = {}
    for of_run in settings:
        if _asked(of_run) not in found:
            probed = found[_asked(of_run)] = _probe(of_run)
            if not probed.error:
                print_message(_text(probed))
    return [found[_asked(of_run)] for of_run in settings]


def require_usable(probed: Iterable[ProbedEndpoint]) -> None:
    """Require that every endpoint that was probed is of use to a run.

    Raises:
        EndpointError: why they are not, and the cures.
    """
    errors = {str(endpoint.error): endpoint.error for endpoint in probed if endpoint.error}
    if errors:
        raise type(next(iter(errors.values())))("\n".join(errors))


def _asked(settings: Settings) -> object:
    """Return what one probe answers for."""
    return settings.endpoint, chosen_dialect(settings).name, settings.effective_model, settings.api_token


def _probe(settings: Settings) -> ProbedEndpoint:
    if settings.endpoint is None:
        return ProbedEndpoint(settings)
    # Here and not above: what asks takes long to import, and most checks ask nothing.
    from pipelines.endpoints.connection import endpoint_at
    from pipelines.endpoints.probing import probe

    asked = endpoint_at(settings.endpoint, settings)
    return ProbedEndpoint(settings, run_to_end(probe(asked, connect_s=settings.connect_timeout_s)))


def _text(probed: ProbedEndpoint) -> str:
    found = probed.found
    if found is None:
        return f"{EMBEDDED_ENDPOINT}: draws sketches on this machine; there is nothing to ask"
    return f"{found.address}: speaks {found.endpoint.dialect.name}{_token_text(found)}{_clock_text(found)}"


def _token_text(found: "Probe") -> str:
    if not found.endpoint.token:
        return ", and asks for no token" if found.answer and found.answer.token_ok else ""
    if found.answer and found.answer.token_ok:
        return f", and takes the token in {found.endpoint.token_name}"
    return f"; whether it takes the token in {found.endpoint.token_name} is not known"


def _clock_text(found: "Probe") -> str:
    offset_s = found.clock_offset_s or 0
    if abs(offset_s) < _NOTABLE_S:
        return ""
    return f"; its clock is {abs(offset_s)} s {'ahead of' if offset_s > 0 else 'behind'} this machine's"
