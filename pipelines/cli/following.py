"""Following: a command that is told neither endpoint nor model asks as the storyboard's last real run did."""

import shlex

from pipelines.cli.options import print_message
from pipelines.common.settings import DEFAULT_MODEL, NamedEndpoint, Settings, short_model
from pipelines.endpoints.choice import dialect_to_tell, endpoint_name, with_listed_rate_limit
from pipelines.ledger.database import ledger_exists
from pipelines.ledger.ledger import Ledger
from pipelines.ledger.models import Run
from pipelines.storyboard.endpoint import settings_for, settings_to_look
from pipelines.storyboard.model import Storyboard


def follow_last_run(settings: Settings, board: Storyboard, *, asks: bool) -> Settings:
    """Return the settings for a storyboard, with endpoint, dialect and model of its last real run if they name none.

    A line on stderr says so. Without a real run the storyboard's own endpoint holds, as in a render.

    Args:
        settings: from options, the environment and .env.
        board: the storyboard.
        asks: whether the endpoint may be asked; else what the storyboard names need not be there.

    Raises:
        LedgerError: the ledger cannot be opened.
        UsageError: see `settings_for`.
    """
    own = settings_for if asks else settings_to_look
    run = None if _names_what_to_ask(settings) else last_real_run(settings, board.id)
    if run is None:
        return own(board, settings)
    _tell(run)
    if run.address is not None:
        return with_listed_rate_limit(
            settings.asking(run.address, dialect=run.dialect, model=run.model_id or run.model)
        )
    followed = settings.model_copy(update={"model": run.model_id or run.model})
    if asks and board.endpoint is not None:
        # It was asked as the storyboard said, and is again.
        return settings_for(board, followed)
    # The same endpoint, but without a token: only the storyboard could say which one is for it.
    return with_listed_rate_limit(followed.asking_named(NamedEndpoint(board.path, run.endpoint, run.dialect)))


def _tell(run: Run) -> None:
    address = _address_of(run)
    dialect = f", dialect {told}" if (told := dialect_to_tell(run.dialect, address)) else ""
    print_message(f"{run.storyboard}: as in its last real run: endpoint {address}{dialect}, model {run.model}")


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
        options += ["--model", run.model_id or run.model]
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
