"""The model of the endpoint that a storyboard names, as it is written."""

import re
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from pipelines.common.addresses import require_http_url
from pipelines.endpoints.dialects.registry import all_dialects
from pipelines.storyboard.format.base import FormatModel, require
from pipelines.storyboard.format.fields import Usd
from pipelines.storyboard.format.parsers import describe, known_word, parse_text, short_form, whole_number
from pipelines.storyboard.model import Variable

# The dialect whose endpoints are named by an account.
ACCOUNT_DIALECT = "cloudflare"
_MAX_RATE_LIMIT = 1_000_000
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_LIKE_A_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")
# What can stand in an address as it is.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def parse_url(value: object) -> str | Variable:
    """Read an address without a password, or the variable that holds one."""
    text = _parse_text_or_variable(value)
    if isinstance(text, Variable):
        return text
    require_http_url(text)
    if "@" in text:
        raise ValueError(
            "holds a user and a password, and storyboards are passed on; write $NAME of a variable that holds all of it"
        )
    return text


def parse_account(value: object) -> str | Variable:
    """Read the name of an account or a gateway, or the variable that holds it."""
    text = _parse_text_or_variable(value)
    return text if isinstance(text, Variable) else require_name(text)


def require_name(text: str) -> str:
    """Require that a text can be an account's or a gateway's name in an address; return it.

    Raises:
        ValueError: it cannot.
    """
    if not _NAME.fullmatch(text):
        raise ValueError("must be up to 64 letters, digits, - and _")
    return text


def parse_token(value: object) -> Variable:
    """Read the variable that holds a token; its errors say nothing of what stands there."""
    if isinstance(value, str) and (match := _VARIABLE.fullmatch(value)):
        return Variable(match[1])
    raise ValueError(
        "must name the variable that holds the token, like $CLOUDFLARE_TOKEN: a token is a secret, and storyboards are "
        "passed on; put it into the environment or into .env, and change it if others have seen it here"
    )


def _parse_text_or_variable(value: object) -> str | Variable:
    text = parse_text(value)
    if match := _VARIABLE.fullmatch(text):
        return Variable(match[1])
    if _LIKE_A_VARIABLE.search(text):
        raise ValueError(f"a variable must be the whole value, like $NAME, got {describe(text)}")
    return text


def _parse_dialect(value: object) -> str:
    return known_word(list(all_dialects()))(value)


_VARIABLE_PATTERN = f"^{_VARIABLE.pattern}$"
Url = Annotated[
    str | Variable,
    BeforeValidator(parse_url),
    WithJsonSchema({"type": "string", "pattern": f"^https?://|{_VARIABLE_PATTERN}"}),
]
Account = Annotated[
    str | Variable,
    BeforeValidator(parse_account),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$|{_VARIABLE_PATTERN}"}),
]
Token = Annotated[
    Variable, BeforeValidator(parse_token), WithJsonSchema({"type": "string", "pattern": _VARIABLE_PATTERN})
]
DialectName = Annotated[
    str, BeforeValidator(_parse_dialect), WithJsonSchema({"type": "string", "enum": sorted(all_dialects())})
]
RateLimit = Annotated[
    int,
    BeforeValidator(whole_number(1, _MAX_RATE_LIMIT)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": _MAX_RATE_LIMIT}),
]


class EndpointModel(FormatModel):
    """Where the images come from, unless the command line or the environment names another endpoint."""

    url: Url | None = Field(None, description="Address of the image API, or $NAME of a variable that holds it.")
    dialect: DialectName | None = Field(None, description="The API that it speaks. Default by its address.")
    account: Account | None = Field(
        None, description="With dialect: cloudflare, the account's id or $NAME of a variable, in place of url."
    )
    gateway: Account | None = Field(
        None, description="The account's AI Gateway to ask through, or $NAME of a variable."
    )
    token: Token | None = Field(None, description="$NAME of the variable that holds its token, the only one it gets.")
    rate_limit: RateLimit | None = Field(None, description="Requests a minute that it allows.")
    price: Usd | None = Field(None, description="Most that an image may cost in US dollars, where no list says.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        require(self.url is not None or self.account is not None, "", "lacks url, the address of the image API; add it")
        require(
            self.url is None or self.account is None,
            "account",
            "cannot stand beside url: it makes the address; keep one of them",
        )
        require(self.gateway is None or self.account is not None, "gateway", "is one of an account; add account")
        require(
            self.account is None or self.dialect == ACCOUNT_DIALECT,
            "account",
            f"is one of Cloudflare; write dialect: {ACCOUNT_DIALECT} beside it, or a url in its place",
        )
        return self


EndpointValue = Annotated[EndpointModel, BeforeValidator(short_form("url"), json_schema_input_type=Url | EndpointModel)]
