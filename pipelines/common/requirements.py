"""pydantic's errors in our words: its own speak of "input" and of Python's types."""

from pydantic_core import ErrorDetails

# What a value must be, by the type of pydantic's error; in braces what pydantic says of the bound.
_REQUIREMENTS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number, and not so large a one",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    # Money, and nothing else, is a Decimal.
    "decimal_parsing": "must be an amount in US dollars like 0.25",
    "decimal_type": "must be an amount in US dollars like 0.25",
    "finite_number": "must be an amount in US dollars like 0.25",
    "greater_than_equal": "must be at least {ge:,.10g}",
    "greater_than": "must be above {gt:,.10g}",
    "less_than_equal": "must be at most {le:,.10g}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters",
    "string_type": "must be text",
    "path_type": "must be a path",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_short": "must not be empty",
    "missing": "is missing",
    "extra_forbidden": "is unknown here",
    "value_error": "{error}",
}


def requirement(error: ErrorDetails) -> str:
    """Return what a value must be that pydantic has found wrong."""
    template = _REQUIREMENTS.get(error["type"], "must be something else")
    return template.format(**error.get("ctx", {}))
