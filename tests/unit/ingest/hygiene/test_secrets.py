"""Secrets, found by their form or by what they are called."""

import base64
import json
import random
import string
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.hygiene import secrets
from ingest.hygiene.hits import PART, masked

ALNUM = string.ascii_letters + string.digits
URL_SAFE = ALNUM + "_-"
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + "234567"

Make = Callable[[random.Random], str]


def some(rng: random.Random, length: int, alphabet: str = ALNUM) -> str:
    """Random signs that begin and end with a letter and hold a digit, as good as all real ones."""
    letters = [sign for sign in alphabet if sign.isalpha()]
    return rng.choice(letters) + "7" + "".join(rng.choices(alphabet, k=length - 3)) + rng.choice(letters)


def like(*parts: str | tuple[int, str]) -> Make:
    """Fixed text and (length, alphabet), in turn: no token stands here whole."""
    return lambda rng: "".join(part if isinstance(part, str) else some(rng, *part) for part in parts)


def uuid(rng: random.Random) -> str:
    return "-".join(some(rng, length, HEX) for length in (8, 4, 4, 4, 12))


def pem(name: str, lines: str = "\n") -> Make:
    return lambda rng: (
        f"-----BEGIN {name}-----{lines}"
        + lines.join(some(rng, 64, ALNUM + "+/") for _ in range(9))
        + f"{lines}{some(rng, 11)}={lines}-----END {name}-----"
    )


TOKENS: dict[str, Make] = {
    "aws access key": like("AK", "IA", (16, UPPER)),
    "aws temporary key": like("AS", "IA", (16, UPPER)),
    "google api key": like("AI", "za", (35, URL_SAFE)),
    "google client secret": like("GOC", "SPX-", (28, URL_SAFE)),
    "google access token": like("ya", "29.", (80, URL_SAFE)),
    "google refresh token": like("1/", "/0", (50, URL_SAFE)),
    "azure connection string": like("AccountName=x;Account", "Key=", (86, ALNUM + "+/"), "=="),
    "azure bus": like("SharedAccess", "Key=", (43, ALNUM + "+/"), "="),
    "azure signature": like("https://a.example/b?sv=2024&si", "g=", (43, ALNUM), "%3D"),
    "azure client secret": like((3, ALNUM), "8Q", "~", (34, ALNUM)),
    "github": like("gh", "p_", (36, ALNUM)),
    "github app": like("gh", "s_", (36, ALNUM)),
    "github fine-grained": like("github", "_pat_", (22, ALNUM), "_", (59, ALNUM)),
    "gitlab": like("gl", "pat-", (20, URL_SAFE)),
    "slack bot": like("xo", "xb-", (12, string.digits + "ab"), "-", (24, ALNUM)),
    "slack user": like("xo", "xp-", (40, ALNUM + "-")),
    "slack app": like("xa", "pp-1-", (11, UPPER), "-", (13, string.digits + "a"), "-", (64, HEX)),
    "slack webhook": like("https://hooks.slack", ".com/services/T", (8, UPPER), "/B", (8, UPPER), "/", (24, ALNUM)),
    "stripe": like("sk", "_live_", (24, ALNUM)),
    "stripe restricted": like("rk", "_live_", (24, ALNUM)),
    "stripe webhook": like("wh", "sec_", (32, ALNUM)),
    "twilio": like("S", "K", (32, HEX)),
    "sendgrid": like("S", "G.", (22, URL_SAFE), ".", (43, URL_SAFE)),
    "mailgun": like("ke", "y-", (32, HEX)),
    "mailchimp": like((32, HEX), "-us", "12"),
    "npm": like("np", "m_", (36, ALNUM)),
    "pypi": like("py", "pi-", (150, URL_SAFE)),
    "docker": like("dckr", "_pat_", (27, URL_SAFE)),
    "heroku": like("HRK", "U-", (60, URL_SAFE)),
    "heroku by name": lambda rng: f"HEROKU_API_KEY={uuid(rng)}",
    "digitalocean": like("dop", "_v1_", (64, HEX)),
    "cloudflare": like("v1", ".0-", (24, HEX), "-", (146, HEX)),
    "cloudflare by name": like("cloudflare token: ", (40, ALNUM)),
    "datadog": like("DD_API", "_KEY=", (32, HEX)),
    "new relic": like("NR", "AK-", (27, UPPER)),
    "pagerduty": like("pagerduty key ", (20, ALNUM)),
    "openai": like("sk", "-proj-", (100, URL_SAFE)),
    "openai legacy": like("sk", "-", (48, ALNUM)),
    "anthropic": like("sk", "-ant-api03-", (93, URL_SAFE), "AA"),
    "hugging face": like("h", "f_", (34, ALNUM)),
    "facebook": like("EA", "A", (150, ALNUM)),
    "twitter": like("A" * 22, (60, ALNUM), "%2B", (20, ALNUM)),
    "telegram": like("123456", "789:", "AA", (33, URL_SAFE)),
    "discord": like("M", (23, ALNUM), ".", (6, URL_SAFE), ".", (38, ALNUM)),
    "discord webhook": like("https://discord.com/api/web", "hooks/123456789012345678/", (68, URL_SAFE)),
    "square": like("sq0", "atp-", (22, URL_SAFE)),
    "shopify": like("shp", "at_", (32, HEX)),
    "atlassian": like("ATA", "TT3", (180, URL_SAFE)),
    "bitbucket": like("AT", "BB", (32, ALNUM)),
    "dropbox": like("s", "l.", (130, URL_SAFE)),
    "linear": like("lin_", "api_", (40, ALNUM)),
    "notion": like("nt", "n_", (44, ALNUM)),
    "notion legacy": like("sec", "ret_", (43, ALNUM)),
    "okta": like("Authorization: SS", "WS 00", (40, URL_SAFE)),
    "vault": like("hv", "s.", (90, URL_SAFE)),
    "terraform": like((14, ALNUM), ".atlas", "v1.", (67, URL_SAFE)),
    "databricks": like("da", "pi", (32, HEX)),
    "supabase": like("sb", "p_", (40, HEX)),
    "figma": like("fi", "gd_", (40, URL_SAFE)),
    "airtable": like("pa", "t", (14, ALNUM), ".", (64, HEX)),
    "postman": like("PM", "AK-", (24, HEX), "-", (34, HEX)),
    "grafana": like("gl", "sa_", (32, ALNUM), "_", (8, HEX)),
    "sentry": like("sntr", "yu_", (64, HEX)),
    "doppler": like("dp.", "pt.", (43, ALNUM)),
    "rubygems": like("ruby", "gems_", (48, HEX)),
    "groq": like("gs", "k_", (52, ALNUM)),
    "jwt": like("ey", "J", (30, URL_SAFE), ".ey", "J", (60, URL_SAFE), ".", (43, URL_SAFE)),
    "rsa key": pem("RSA PRIVATE KEY"),
    "openssh key": pem("OPENSSH PRIVATE KEY"),
    "pgp key": pem("PGP PRIVATE KEY BLOCK"),
    "key in a service account": pem("PRIVATE KEY", r"\n"),
    "key on one line": pem("EC PRIVATE KEY", " "),
    "age key": like("AGE-SECRET", "-KEY-1", (58, UPPER)),
    "wireguard": like("Private", "Key = ", (43, ALNUM + "+/"), "="),
    "postgres": like("postgresql://app:", (12, ALNUM), "@db.internal:5432/app"),
    "mongo": like("mongodb+srv://app:", (16, ALNUM), "@cluster0.mongodb.net"),
    "redis": like("redis://:", (20, ALNUM), "@cache:6379/0"),
    "git over https": like("https://ci:", (20, ALNUM), "@git.internal/x.git"),
    "bearer": like("Authorization: Bea", "rer ", (40, ALNUM)),
    "basic": lambda rng: "Authorization: Basic " + base64.b64encode(f"ci:{some(rng, 20)}".encode()).decode(),
    "password": like("Pass", "word: ", (12, ALNUM)),
    "password in a sentence": like("the wifi password is ", (9, ALNUM), ", enjoy"),
    "password quoted": like('{"db_pass', 'word": "', (10, ALNUM + "!$"), '"}'),
    "passwort": like("Pass", "wort: ", (10, ALNUM), "!"),
    "connection string": like("Server=x;Uid=y;P", "wd=", (12, ALNUM), ";"),
    "api key": like("api", "_key = '", (32, ALNUM), "'"),
    "environment": like("export MY_SECRET_TO", "KEN=", (40, HEX)),
    "client secret": like("client", "_secret: ", (32, ALNUM)),
}
HARMLESS = [
    "password: please ask HR, they will reset it",
    "Your password is required; the password is stored nowhere. Password: ********",
    "password=${DB_PASSWORD} PASSWORD=<your-password> password: changeme2024",
    "password = get_password(user) and password=config.db.password",
    "The key is that every token counts: token = tokenizer.next()",
    "secret santa: token gifts, key: https://a.example/keys/2024",
    "commit 9f8e7d6c5b4a39281706f5e4d3c2b1a098765432 in build 20240115123456",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "id 123e4567-e89b-12d3-a456-426614174000 in C01ABCDEF23 by U02GHIJKL45 at 1612345678.123456",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "https://a.example/watch?v=dQw4w9WgXcQ&redir_token=QUFFLUhqazktZzRpQkxsU1p6",
    "sk-learn, hf_hub_download, npm_config_cache, s3://bucket/path:tag, docker-compose@2.x",
    "postgres://user:password@localhost and https://<user>:<pass>@host and postgres:postgres@db",
    "-----BEGIN PRIVATE KEY----- is how such a file begins.",
    "SG.1 and SK-II, AIza and AKIA are prefixes; xoxb- too",
]


@pytest.mark.parametrize("kind", TOKENS)
def test_a_secret_of_every_common_kind_is_found(kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(5):
        text = f"hi all, use this one: {TOKENS[kind](rng)} and delete it later"
        hits = secrets.found_in(text)
        assert hits, text
        left = masked(text, hits, secrets.WORDING)
        assert "[secret removed: " in left
        assert secrets.found_in(left) == []
        assert left.startswith("hi all, use this one: ")
        assert left.endswith(" and delete it later")


def test_a_secret_key_beside_its_access_key_goes_too() -> None:
    rng = random.Random(1)
    secret = some(rng, 40)
    text = TOKENS["aws access key"](rng) + f"{PART}and the other half\n{secret}"
    left = masked(text, secrets.found_in(text), secrets.WORDING)
    assert secret not in left
    assert left.count(PART) == 1


def test_a_service_account_loses_its_key() -> None:
    rng = random.Random(2)
    text = json.dumps({"type": "service_account", "private_key": pem("PRIVATE KEY")(rng), "client_id": "1"})
    left = json.loads(masked(text, secrets.found_in(text), secrets.WORDING))
    assert left == {"type": "service_account", "private_key": "[secret removed: private key]", "client_id": "1"}


def test_a_key_over_several_blocks_goes_whole() -> None:
    text = pem("RSA PRIVATE KEY", PART)(random.Random(3))
    assert masked(text, secrets.found_in(text), secrets.WORDING) == "[secret removed: private key]" + PART * 11


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert secrets.found_in(text) == []


@given(st.text(st.sampled_from("password: =\"'`keytoken123!@/AKIAsk-_.\0\n"), max_size=120))
def test_masking_ends_and_parts_stay_parts(text: str) -> None:
    left = masked(text, secrets.found_in(text), secrets.WORDING)
    assert left.count(PART) == text.count(PART)


HOSTILE = (
    "AKIAABCDEFGHIJKLMNOP |eyJ|eyJaaaaaaaa.|password:|password: |api_key=|-----BEGIN PRIVATE KEY-----|-----BEGIN RSA |://a:"
    "|://|sk-|Bearer |token is |a1|vault heroku okta |A|1:AA|M.|aws secret |key='|=|pat1.|github_pat_|\0"
    "|secret_access_key "
)


@pytest.mark.parametrize("unit", HOSTILE.split("|"))
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    began = time.process_time()
    secrets.found_in(text)
    assert time.process_time() - began < 3.0
