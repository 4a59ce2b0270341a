"""Texts of the world's scripts, and texts that are hard to draw."""

from hypothesis import strategies as st

# Some letters of each script: no two of a script look alike, whatever stands beside them.
ALPHABETS = {
    "Latin": "abcdwžđ",
    "Greek": "αβωλξ",
    "Cyrillic": "бжюяд",
    "Hebrew": "שלמאק",
    "Arabic": "بمعكس",
    "Devanagari": "नमसदप",
    "Thai": "สวดชก",
    "Han": "港夜明日本",
    "kana": "あいモノら",
    "hangul": "한국어자막",
    "emoji": "🌊🏠🐈🚢🌲",
}
# A greeting in each script that the packages have letters for.
GREETINGS = {
    "Latin": "Žluťoučký kůň, đường phố",
    "Greek": "Καλημέρα κόσμε",
    "Cyrillic": "Привет, мир",
    "Hebrew": "שלום עולם",
    "Arabic": "مرحبا بالعالم",
    "Devanagari": "नमस्ते दुनिया",
    "Bengali": "ওহে বিশ্ব",
    "Gurmukhi": "ਸਤ ਸ੍ਰੀ ਅਕਾਲ",
    "Gujarati": "નમસ્તે દુનિયા",
    "Oriya": "ନମସ୍କାର",
    "Tamil": "வணக்கம் உலகம்",
    "Telugu": "హలో ప్రపంచం",
    "Kannada": "ನಮಸ್ಕಾರ ಜಗತ್ತು",
    "Malayalam": "നമസ്കാരം ലോകം",
    "Sinhala": "ආයුබෝවන්",
    "Thai": "สวัสดีชาวโลก",
    "Lao": "ສະບາຍດີ",
    "Burmese": "မင်္ဂလာပါ",
    "Khmer": "ជំរាបសួរ",
    "Georgian": "გამარჯობა",
    "Armenian": "Բարեւ Ձեզ",
    "Ethiopic": "ሰላም ለዓለም",
    "Japanese": "日本の港、カモメ",
    "Korean": "안녕하세요 세계",
    "Chinese": "你好世界",
    "emoji": "🌅🏖️❤️👩‍👩‍👧",
}
HOSTILE = {
    "long": "a harbor in mist " * 120 + "end of it",
    "one word": "w" * 2048,
    "lines": "first\n\nsecond\r\nthird\u2028fourth\tfifth " * 20,
    "controls": "bell\x07 null\x00 escape\x1b[31m delete\x7f " * 20,
    "overrides": "\u202eright to left\u202c \u200f\u061c \ufeff" * 20,
    "hebrew and arabic": "\u05e0\u05de\u05dc \u0645\u0631\u0641\u0623 " * 40,
    "chinese": "\u6e2f\u53e3\u7684\u9ece\u660e" * 60,
    "thai": "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01" * 50,
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f30a" * 50,
    "marks": "a" + "\u0301" * 300,
    "half a pair": "lone \ud800 surrogate " * 30,
    "of no font": "\U00010348\U00012000 " * 30,
    "nothing": "",
    "blank": " \n\t ",
}


def words() -> st.SearchStrategy[str]:
    """Return words of one script each, short enough for any line."""
    return st.one_of([st.text(alphabet, min_size=1, max_size=6) for alphabet in ALPHABETS.values()])
