"""Issues carry their suggestion as data, and what hides others is left out of the second look."""

import pytest
from pydantic import ValidationError

from pipelines.common.suggestions import Suggestion, suggest
from pipelines.storyboard.format.schema import StoryboardModel
from pipelines.storyboard.format.validation import issues_of
from pipelines.storyboard.format.yaml_tree import parse_yaml
from pipelines.storyboard.further_issues import without_issues
from pipelines.storyboard.issues import MAX_ISSUES, Issue, IssueLog
from tests.unit.storyboard.problems import Write, problems


def issues(text: str) -> list[Issue]:
    """Return the issues of a storyboard's format."""
    data = parse_yaml(text).data
    with pytest.raises(ValidationError) as caught:
        StoryboardModel.model_validate(data)
    return list(issues_of(caught.value.errors(), data))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("titel", Suggestion("title", "; did you mean 'title'?")),
        ("xyz", Suggestion(None, "; choose one of title, prompts")),
        (5, Suggestion(None, "; choose one of title, prompts")),
    ],
)
def test_a_suggestion_is_a_word_and_a_sentence(word: object, expected: Suggestion) -> None:
    """Without a close word the sentence lists them all."""
    assert suggest(word, ["title", "prompts"]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "prompts: [x]\ntitel: y",
            Issue(("titel",), "unknown key; did you mean 'title'?", "title", of_key=True),
        ),
        (
            "prompts: [x]\ndefaults: {transition: disolve}",
            Issue(
                ("defaults", "transition"),
                "unknown value 'disolve'; did you mean 'dissolve'?",
                "dissolve",
            ),
        ),
        ("prompts: [5]", Issue(("prompts", 0), 'must be text, got 5; put it in quotes: "5"')),
    ],
)
def test_an_issue_carries_the_word_that_was_meant(text: str, expected: Issue) -> None:
    """For unknown keys and for unknown values."""
    assert issues(text) == [expected]


def test_a_log_keeps_the_first_issue_of_each_path() -> None:
    """A default that ten thousand frames inherit is one mistake."""
    log = IssueLog()

    log.add(("defaults", "hold"), "first")
    log.add(("defaults", "hold"), "second")
    log.add(("defaults", "style"), "third", suggestion="film")

    assert list(log) == [Issue(("defaults", "hold"), "first"), Issue(("defaults", "style"), "third", "film")]
    assert ("defaults", "hold") in log
    assert not log.full


def test_a_log_is_full_at_its_limit() -> None:
    """Nothing more needs to be looked for then."""
    log = IssueLog()

    for number in range(MAX_ISSUES):
        assert not log.full
        log.add(("prompts", number), "x")

    assert log.full


@pytest.mark.parametrize(
    ("issue", "expected"),
    [
        (Issue(("title",), "x"), {"defaults": {"steps": 9}, "prompts": ["a"]}),
        (Issue(("defaults", "steps"), "x"), {"title": 5, "defaults": {}, "prompts": ["a"]}),
        (Issue(("output", "size"), "x"), {"title": 5, "defaults": {"steps": 9}, "prompts": ["a"]}),
        (Issue(("prompts", 0), "x"), None),
        (Issue(("vars", "mood"), "x"), None),
        (Issue(("matrx",), "x", "matrix"), None),
        (Issue((), "x"), None),
    ],
    ids=["value", "inner value", "gone already", "entry of a list", "name", "misspelled naming key", "root"],
)
def test_wrong_values_are_left_out_where_the_rest_means_the_same(issue: Issue, expected: object) -> None:
    """The original data stays as it is."""
    data = {"title": 5, "defaults": {"steps": 9}, "prompts": ["a"]}

    assert without_issues(data, [issue]) == expected
    assert data == {"title": 5, "defaults": {"steps": 9}, "prompts": ["a"]}


def test_words_of_a_message_decide_nothing(write: Write) -> None:
    """A value that reads like a suggestion hides no further issue."""
    path = write("defaults: {aspect: \"did you mean 'prompts'\"}\nprompts: ['{{ nope }}']\n")

    assert problems(path) == [
        "board.yaml:1:20: defaults.aspect: must be one of 1:1, 16:9, 9:16, 4:3, 3:4, got \"did you mean 'prompts'\"",
        "board.yaml:2:11: prompts[0]: 'nope' is not defined; choose one of frame, scene, shot, or add it to vars",
    ]
