"""The languages that can be told of a text: ISO 639-1 codes with their English names, and some with their own."""

from difflib import get_close_matches

_CODES_AND_NAMES = """
af Afrikaans, am Amharic, an Aragonese, ar Arabic, as Assamese, az Azerbaijani, ba Bashkir, be Belarusian, bg
Bulgarian, bn Bengali, br Breton, bs Bosnian, ca Catalan, cs Czech, cy Welsh, da Danish/Dansk, de German/Deutsch, dz
Dzongkha, el Greek, en English, eo Esperanto, es Spanish/Español, et Estonian, eu Basque, fa Persian, fi
Finnish/Suomi, fo Faroese, fr French/Français, fy Frisian, ga Irish, gd Gaelic, gl Galician, gu Gujarati, ha Hausa, he
Hebrew, hi Hindi, hr Croatian, ht Haitian, hu Hungarian, hy Armenian, id Indonesian, ig Igbo, is Icelandic, it
Italian/Italiano, ja Japanese, jv Javanese, ka Georgian, kk Kazakh, km Khmer, kn Kannada, ko Korean, ku Kurdish, ky
Kyrgyz, la Latin, lb Luxembourgish, lg Ganda, ln Lingala, lo Lao, lt Lithuanian, lv Latvian, mg Malagasy, mk
Macedonian, ml Malayalam, mn Mongolian, mr Marathi, ms Malay, mt Maltese, my Burmese, ne Nepali, nl Dutch/Nederlands,
nn Nynorsk, no Norwegian/Norsk, oc Occitan, om Oromo, or Odia, pa Punjabi, pl Polish/Polski, ps Pashto, pt
Portuguese/Português, qu Quechua, ro Romanian, ru Russian, rw Kinyarwanda, sa Sanskrit, se Sami, si Sinhala, sk
Slovak, sl Slovene, sn Shona, so Somali, sq Albanian, sr Serbian, st Sotho, sv Swedish/Svenska, sw Swahili, ta Tamil,
te Telugu, tg Tajik, th Thai, tk Turkmen, tl Tagalog, tr Turkish/Türkçe, tt Tatar, ug Uyghur, uk Ukrainian, ur Urdu,
uz Uzbek, vi Vietnamese, vo Volapük, wa Walloon, xh Xhosa, yo Yoruba, zh Chinese, zu Zulu
"""
_NAMES = {code: names.split("/") for code, names in (pair.split() for pair in _CODES_AND_NAMES.split(","))}
NAMES = {code: names[0] for code, names in _NAMES.items()}
"""The English name of each code."""
LONGEST = 30  # letters of anything that is meant to be a language


def meant_by(given: str) -> str:
    """The code that somebody who wrote this probably meant, by code or by name; empty where that is a guess.

    Regions (`en-GB`) and the three letters of ISO 639-2 that begin a name (`eng`, `ger`) lead to their language.
    """
    word = given.strip().casefold()[:LONGEST]
    code = word.replace("_", "-").partition("-")[0]
    if code in NAMES:
        return code
    if code == "nb":  # of Norwegian's two written forms the one that detectors call Norwegian
        return "no"
    names = {name.casefold(): code for code, names in _NAMES.items() for name in names}
    begun = [name for name in names if len(word) > 2 and name.startswith(word)]  # noqa: PLR2004 - longer than a code
    close = begun if len(begun) == 1 else get_close_matches(word, names, n=1, cutoff=0.75)
    return names[close[0]] if close else ""
