"""Languages by their BCP 47 tags, as ICU knows them."""

import functools


def iso_639_2(tag: str) -> str:
    """Return the three-letter code (ISO 639-2/T) of a tag's language, which films state; empty where it is none."""
    # Here and below: ICU is loaded only where a storyboard names a language.
    import icu

    return str(icu.Locale.forLanguageTag(tag).getISO3Language())


def tag_of_name(name: str) -> str | None:
    """Return the tag of the language that has a name, in English or its own; None where there is none."""
    return _tags_by_name().get(name.casefold())


@functools.cache
def _tags_by_name() -> dict[str, str]:
    import icu

    english = icu.Locale("en")
    tags = icu.Locale.getISOLanguages()
    own = {icu.Locale(tag).getDisplayLanguage(icu.Locale(tag)).casefold(): tag for tag in tags}
    return own | {icu.Locale(tag).getDisplayLanguage(english).casefold(): tag for tag in tags}
