"""Following: a command that is told neither endpoint nor model asks as the storyboard's last real run did."""

import shlex

from pipelines.cli.options import print_message
from pipelines.common.settings import DEFAULT_MODEL, Settings, short_model
from pipelines.endpoints.choice import dialect_to_tell, endpoint_name
from pipelines.ledger.database import ledger_exists
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Run


def follow_last_run(settings: Settings, storyboard: str) -> Settings:
    """Return the settings, with endpoint, dialect and model of the storyboard's last real run where they name none.

    A line on stderr says so. Without a real run the settings are returned as they are.

    Raises:
        LedgerError: the ledger cannot be opened.
    """
    if _names_what_to_ask(settings):
        return settings
    run = last_real_run(settings, storyboard)
    if run is None:
        return settings
    address = _address_of(run)
    dialect = f", dialect {told}" if (told := dialect_to_tell(run.dialect, address)) else ""
    print_message(f"{storyboard}: as in its last real run: endpoint {address}{dialect}, model {run.model}")
    return settings.asking(address, dialect=run.dialect, model=run.model)


def last_real_run(settings: Settings, storyboard: str) -> Run | None:
    """Return the storyboard's last run that was not simulated, whether there is a ledger yet or not.

    Raises:
        LedgerError: the ledger cannot be opened.
    """
    url = settings.effective_database_url
    if not ledger_exists(url):
        return None
    with Ledger.open_to_read(url) as ledger:
        return ledger.last_real_run(storyboard)


def notes_on_last_run(settings: Settings, storyboard: str) -> list[str]:
    """Return a note where the last real run asked for other pictures than a run with these settings would.

    Raises:
        LedgerError: the ledger cannot be opened.
    """
    run = last_real_run(settings, storyboard)
    if run is None or (run.model == settings.effective_model and not settings.simulated):
        return []
    # An endpoint that is named stays: the same model may be asked for at several.
    options = [] if settings.endpoint else _endpoint_options(run)
    if run.model != short_model(settings.model or DEFAULT_MODEL):
        options += ["--model", run.model]
    return [
        f"the last real run asked {_address_of(run)} for model {run.model}; this quote is of "
        f"{settings.effective_model} from {endpoint_name(settings)}: to quote that, add {shlex.join(options)}"
    ]


def follows_another_run(settings: Settings, storyboard: str) -> bool:
    """Return whether a command that is told as little as this run was would follow an earlier, real one."""
    return not _names_what_to_ask(settings) and last_real_run(settings, storyboard) is not None


def _endpoint_options(run: Run) -> list[str]:
    """Return the options that name a run's endpoint, and its dialect where the address does not tell it."""
    address = _address_of(run)
    dialect = dialect_to_tell(run.dialect, address)
    return ["--endpoint", address, *(["--dialect", dialect] if dialect else [])]


def _address_of(run: Run) -> str:
    return run.address or run.endpoint


def _names_what_to_ask(settings: Settings) -> bool:
    # From an option, a variable or .env.
    return settings.endpoint is not None or settings.model is not None
