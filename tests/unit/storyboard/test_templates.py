"""Templates yield text and numbers, whatever is written in them, and yield them soon."""

import resource
import time
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.storyboard.template_values import FILTERS, MAX_TEXT_CHARS, TESTS, PromptTemplateError
from pipelines.storyboard.templates import MAX_TEMPLATE_CHARS, Templates

# What any template may take, in processor time: others on the machine would slow the clock's.
LIMIT_S = 2
MAX_MIB = 200
KIB_OF_MIB = 1024
NAMES = {
    "mood": "sunny", "count": "12", "empty": "", "price": Decimal("1.50"), "digits": "9" * 2048, "slashes": "\\" * 2048,
    "format": "%999999999d", "cast": {"anna": {"hair": "red", "age": 7}, "upper": "a name like any other"},
}  # fmt: skip


def filled(source: str) -> str:
    return Templates().render(source, NAMES)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ mood|upper }} {{ count|int + 1 }}", "SUNNY 13"),
        ("{{ cast.anna.hair }} {{ cast['anna'].age + 1 }} {{ cast.upper }}", "red 8 a name like any other"),
        ("{{ cast.bert|default('nobody') }}", "nobody"),
        ("{{ price }} {{ price|round(1) }} {{ 1.25|round(1, 'ceil') }}", "1.50 1.5 1.3"),
        ("{{ mood|first }}{{ empty|first }}{{ mood|last }}{{ mood|length }}", "sy5"),
        ("{{ mood ~ 7 ~ empty ~ price }} {{ 'a' + 'b' }} {{ 3 - 0.5 }}", "sunny71.50 ab 2.5"),
        ("{% if mood in ['sunny', 'dark'] %}yes{% endif %}{% if 'a' is in ('b',) %}no{% endif %}", "yes"),
        ("{{ 'odd' if count|int is odd else 'even' }} {{ 'no' if x is undefined }}", "even no"),
    ],
)
def test_templates_compute_with_text_and_numbers(source: str, expected: str) -> None:
    """The names of the storyboard's own groups are reached with a dot or brackets."""
    assert filled(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ mood.upper }}", "reads 'upper' of 'mood', which is text and has no parts; did you mean {{ mood|upper }}?"),
        ("{{ mood['title'] }}", "reads 'title' of 'mood', which is text and has no parts; did you mean {{ mood|ti"),
        ("{{ mood[0] }}", "reads 0 of 'mood', which is text and has no parts; did you mean {{ mood|first }}?"),
        ("{{ mood.format }}", "reads 'format' of 'mood', which is text and has no parts; remove it"),
        ("{{ empty|default(mood.count) }}", "reads 'count' of 'mood', which is text and has no parts; remove it"),
        ("{{ (1).real }}", "reads 'real' of what is text or a number and has no parts; remove it"),
        ("{{ none.x }}", "reads 'x' of what is text or a number and has no parts; remove it"),
        ("{{ cast.anna.hair.upper }}", "reads 'upper' of what is text or a number and has no parts; remove it"),
        ("{{ cast.ana }}", "there is no 'ana' in it; did you mean 'anna'?"),
        ("{{ cast.items }}", "there is no 'items' in it; choose one of anna, upper"),
        ("{{ cast.anna }}", "yields a group of names, which is no text; add a dot and one of the names"),
        ("{{ 'a ' ~ cast }}", "yields a group of names, which is no text; add a dot and one of the names"),
        ("{{ cast }}", "yields a group of names, which is no text; add a dot and one of the names"),
        ("{{ true }}", "yields true or false, which is no text; write {{ 'this' if ... else 'that' }}"),
        ("{{ mood == 'sunny' }}", "yields true or false, which is no text; write {{ 'this' if ... else 'that' }}"),
        ("{{ none }}", "yields neither text nor a number; remove it"),
        ("{{ 'x' in self }}", "uses the name 'self', which is Jinja's own; choose another"),
        ("{{ [1, 2] }}", "uses a list, which is no text; a list stands after `in` only"),
        ("{{ ('a', 'b')|first }}", "uses a list, which is no text; a list stands after `in` only"),
        ("{{ 'a' if mood is sameas mood }}", "uses the test 'sameas'; choose one of "),
        ("{{ mood|attr('upper') }}", "uses the filter 'attr'; choose one of "),
        ("{{ 1e308 + 1e308 }}", "makes a number of more than 100 digits, or an infinite one"),
        ("{{ 'a' if 1e999 > 1 }}", "makes a number of more than 100 digits, or an infinite one"),
        ("{{ 'nan'|float }}", "makes a number of more than 100 digits, or an infinite one"),
        ("{{ digits|int(base=16) }}", "makes a number of more than 100 digits, or an infinite one"),
        ("{{ " + "9" * 5000 + " }}", "holds a number that is too long; shorten it"),
        ("{{ 0x" + "f" * 5000 + " }}", "makes a number of more than 100 digits, or an infinite one"),
        ("{{ mood|round }}", "takes something for a number that is none; convert it with int or float"),
        ("{{ -mood }}", "cannot be filled in: bad operand type for unary -: 'str'"),
    ],
    ids=lambda value: value[:30],
)  # fmt: skip
def test_what_is_neither_text_nor_a_number_is_refused(source: str, expected: str) -> None:
    """Python's words for it would be paid for as a prompt, and be other words in the next process."""
    with pytest.raises(PromptTemplateError) as caught:
        filled(source)

    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    "source",
    [
        '{{ 1.5|round(99999999, "ceil") }}',
        "{{ 5|round(-99999999) }}",
        "{{ 'x' if format is odd }}",
        "{{ 'x' if format is divisibleby(3) }}",
        "{{ " + "[" * 300 + "slashes" + "]|string" * 300 + " }}",
        "{{ " + "[" * 300 + "slashes" + "] ~ ''" * 300 + " }}",
        "{% if mood %}" * 300 + "x" + "{% endif %}" * 300,
        "{{ " + "1 + " * 2000 + "1 }}",
        "{{ mood" + "|trim" * 1600 + " }}",
        "{{ " + "not " * 2000 + "1 }}",
        "{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}",
        "{{ " + "-" * 8000 + "1 }}",
        "{{ " + "'a' if mood else " * 480 + "'b' }}",
    ],
    ids=[
        "places", "places before the point", "format", "format and number", "quoted", "quoted and joined", "ifs",
        "sums", "filters", "nots", "brackets", "signs", "elses",
    ],
)  # fmt: skip
def test_what_would_take_long_or_all_memory_is_refused_at_once(source: str) -> None:
    """Powers, format strings, what quotes itself again and again, and depth."""
    before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KIB_OF_MIB
    began = time.process_time()

    with pytest.raises(PromptTemplateError):
        filled(source)
    assert time.process_time() - began < LIMIT_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KIB_OF_MIB - before_mib < MAX_MIB


@pytest.mark.parametrize("source", ["{{ text }}" * 9, "{{ text ~ text ~ text ~ text ~ text }}", "{{ text|d }}" * 9])
def test_a_text_too_long_to_be_made_is_not_made(source: str) -> None:
    """It is counted as it grows, whichever way it grows."""
    with pytest.raises(PromptTemplateError, match="comes to more than 4,000,000 characters once filled in"):
        Templates().render(source, {"text": "x" * (MAX_TEXT_CHARS // 4)})


# What is sensible is there more often: most templates would be refused for their first word otherwise.
ATOMS = st.sampled_from(
    [*["'a'", "''", "1", "2.5", *NAMES] * 3, "1e308", "99999999", "true", "none", "self", "missing"]
)
OPERATORS = st.sampled_from([*["~", "+", "-", "==", "in", "and", "or"] * 3, "*", "/", "**", "%", "<", "not in"])
ATTRIBUTES = st.sampled_from(["upper", "anna", "real", "items", "__class__", "format", "hair"])
CALLS = st.sampled_from(
    ["", "(1)", "(99999999)", "('x')", "(99999999, 'ceil')", "(base=2)", "(*mood)", "(default=cast)"]
)


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return expressions that hold others, in every way that Jinja knows."""
    return st.one_of(
        st.builds("({} {} {})".format, inner, OPERATORS, inner),
        st.builds("{}|{}{}".format, inner, st.sampled_from(sorted(FILTERS)), CALLS),
        st.builds("({} is {}{})".format, inner, st.sampled_from(sorted(TESTS)), CALLS),
        st.builds("{}.{}".format, inner, ATTRIBUTES),
        st.builds("{}['{}']".format, inner, ATTRIBUTES),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("(-{})".format, inner),
        st.builds("(not {})".format, inner),
    )


EXPRESSIONS = st.recursive(ATOMS, larger, max_leaves=8)
PIECES = st.builds("{{{{ {} }}}}".format, EXPRESSIONS) | st.builds(
    "{{% if {} %}}a{{% elif {} %}}b{{% endif %}}".format, EXPRESSIONS, EXPRESSIONS
)
BROKEN = st.sampled_from(["{{", "}}", "{% raw %}", "{#", "{% set x = 1 %}", "plain", "{%", "%}", "{% for x in mood %}"])
TEMPLATES = PIECES | st.lists(PIECES | BROKEN, min_size=2, max_size=4).map("".join)


@pytest.mark.slow
@given(TEMPLATES)
@settings(max_examples=400, deadline=None, derandomize=True)
@example("{{ mood" + ".upper" * 1000 + " }}")
@example("{% if mood %}" * 340 + "x" + "{% endif %}" * 340)
@example("{{ mood|d }}" * (MAX_TEMPLATE_CHARS // 12))
@example("{% if 0 %}0" + "{% elif mood == 1 %}2" * 350 + "{% endif %}")
def test_any_template_is_text_or_refused_and_soon(source: str) -> None:
    """The text is the same at each time of asking: no address of Python's is in it."""
    began = time.process_time()
    try:
        text = filled(source)
    except PromptTemplateError as error:
        assert str(error)
    else:
        assert text == filled(source)
        assert " at 0x" not in text
        assert " object" not in text
    assert time.process_time() - began < LIMIT_S
