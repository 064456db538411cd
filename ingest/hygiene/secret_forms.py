"""What secrets look like: known forms, each with the literals that all of its kind hold.

No pattern may take more than linear time: repetitions are bounded or give nothing back, and a pattern begins only
where a word does.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import log2

_START, _END = r"(?<![A-Za-z0-9_])", r"(?![A-Za-z0-9_])"
ENTROPY = 3.0  # bits per character; a random key of 16 signs has more, words and placeholders have less


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """One form; one of `literals` stands in every text that holds it, and `fits` judges what group `v` or all took."""

    kind: str
    literals: tuple[str, ...]
    pattern: re.Pattern[str]
    fits: Callable[[str], bool] | None = None


def random_looking(value: str) -> bool:
    """Whether letters and digits mix as they do in a generated key."""
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value)) and entropy(value) >= ENTROPY


def entropy(value: str) -> float:
    """Shannon's entropy of a non-empty text in bits per character."""
    return -sum(share * log2(share) for share in (value.count(c) / len(value) for c in set(value)))


def _mixed_case(value: str) -> bool:
    return random_looking(value) and value != value.lower() and value != value.upper()


def _encoded_sign(value: str) -> bool:
    return "%" in value and random_looking(value[22:])


def _not_example(value: str) -> bool:
    return not value.endswith("EXAMPLE") and len(set(value)) > len(value) // 3


def _token(kind: str, literals: str, body: str, fits: Callable[[str], bool] | None = random_looking) -> Form:
    """A form of its own: `body` with nothing of a word around it; `literals` are separated by spaces."""
    return Form(kind=kind, literals=tuple(literals.split()), pattern=re.compile(f"{_START}(?:{body}){_END}"), fits=fits)


_W = "[A-Za-z0-9_-]"
_AN = "[A-Za-z0-9]"
_HEX = "[0-9a-f]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"


def _near(kind: str, literals: str, body: str, fits: Callable[[str], bool] | None = random_looking) -> Form:
    """A form that says nothing by itself: only within 40 characters behind the name of its issuer, in one line."""
    names = "|".join(literals.split())
    pattern = re.compile(rf"(?i:{names})[^\n\0]{{0,40}}?{_START}(?P<v>{body}){_END}")
    return Form(kind=kind, literals=tuple(literals.split()), pattern=pattern, fits=fits)


TOKENS = (  # without white space inside
    _token("aws_access_key", "AKIA ASIA ABIA ACCA", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}", _not_example),
    _token("google_api_key", "AIza", f"AIza{_W}{{35}}"),
    _token("google_client_secret", "GOCSPX-", f"GOCSPX-{_W}{{28}}"),
    _token("google_access_token", "ya29.", rf"ya29\.{_W}{{20,}}+"),
    _token("google_refresh_token", "1//0", f"1//0{_W}{{30,}}+"),
    Form(
        kind="azure_storage_key",
        literals=("AccountKey=", "SharedAccessKey="),
        pattern=re.compile(r"(?:AccountKey|SharedAccessKey)=(?P<v>[A-Za-z0-9+/]{40,100}+={0,2})"),
        fits=random_looking,
    ),
    Form(
        kind="azure_signature",
        literals=("sig=",),
        pattern=re.compile(r"(?<=[?&;]sig=)[A-Za-z0-9%+/]{40,100}+={0,2}"),
        fits=random_looking,
    ),
    _token("azure_client_secret", "Q~", r"[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}"),
    _token("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", f"gh[pousr]_{_AN}{{36,255}}"),
    _token("github_token", "github_pat_", f"github_pat_{_AN}{{22}}_{_AN}{{59}}"),
    _token("gitlab_token", "glpat- gldt- glrt- glcbt- glptt- glft- glsoat- glagent-", f"gl[a-z]{{2,5}}-{_W}{{20,}}+"),
    _token(
        "slack_token",
        "xoxa- xoxb- xoxc- xoxe xoxo- xoxp- xoxr- xoxs- xoxd-",
        r"xox[a-z](?:\.xox[bp])?-[A-Za-z0-9%/+=-]{10,}+",
    ),
    _token("slack_token", "xapp-", r"xapp-\d-[A-Za-z0-9-]{10,}+"),
    Form(
        kind="slack_webhook",
        literals=("hooks.slack.com/",),
        pattern=re.compile(r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<v>[A-Za-z0-9/]{20,}+)"),
        fits=random_looking,
    ),
    _token("stripe_key", "sk_live_ rk_live_ sk_test_ rk_test_", f"[sr]k_(?:live|test)_{_AN}{{16,}}+"),
    _token("webhook_secret", "whsec_", r"whsec_[A-Za-z0-9+/]{24,}+={0,2}"),
    _token("twilio_key", "SK", f"SK{_HEX}{{32}}"),
    _token("sendgrid_key", "SG.", rf"SG\.{_W}{{16,32}}\.{_W}{{32,64}}"),
    _token("mailgun_key", "key-", f"key-{_HEX}{{32}}"),
    _token("mailchimp_key", "-us", rf"{_HEX}{{32}}-us\d{{1,2}}"),
    _token("npm_token", "npm_", f"npm_{_AN}{{36}}"),
    _token("pypi_token", "pypi-", f"pypi-{_W}{{50,}}+"),
    _token("docker_token", "dckr_pat_ dckr_oat_", f"dckr_[po]at_{_W}{{20,}}+"),
    _token("heroku_key", "HRKU-", f"HRKU-{_W}{{30,}}+"),
    _token("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", f"do[opr]_v1_{_HEX}{{64}}"),
    _token("cloudflare_key", "v1.0-", rf"v1\.0-{_HEX}{{24}}-{_HEX}{{146}}"),
    _token("newrelic_key", "NRAK- NRJS- NRII- NRRA- NRAA-", f"NR(?:AK|JS|II|RA|AA)-{_W}{{19,}}+"),
    _token("newrelic_key", "NRAL", f"{_HEX}{{36}}NRAL"),
    _token("anthropic_key", "sk-ant-", f"sk-ant-{_W}{{20,}}+"),
    _token("openrouter_key", "sk-or-", f"sk-or-(?:v\\d-)?{_HEX}{{32,}}+"),
    _token("openai_key", "sk-", f"sk-(?:(?:proj|svcacct|admin|None)-{_W}{{20,}}+|{_AN}{{32,64}}+)"),
    _token("huggingface_token", "hf_ api_org_", "(?:hf|api_org)_[A-Za-z0-9]{30,40}", _mixed_case),
    _token("facebook_token", "EAA", "EAA[A-Za-z0-9]{60,}+"),
    _token("twitter_token", "AAAAAAAAAAAAAAAAAAAA", r"A{20,24}+[A-Za-z0-9%]{50,110}", _encoded_sign),
    _token("telegram_token", ":AA", rf"\d{{8,10}}:AA{_W}{{33}}"),
    Form(
        kind="discord_webhook",
        literals=("/api/webhooks/",),
        pattern=re.compile(rf"/api/webhooks/\d{{17,20}}/(?P<v>{_W}{{60,80}}+)"),
        fits=random_looking,
    ),
    _token("square_token", "sq0atp- sq0csp- sq0idp-", f"sq0(?:atp|csp|idp)-{_W}{{22,43}}+"),
    _token("shopify_token", "shpat_ shpca_ shppa_ shpss_", "shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _token("atlassian_token", "ATATT3 ATCTT3", r"AT[AC]TT3[A-Za-z0-9_=-]{50,}+"),
    _token("bitbucket_token", "ATBB", f"ATBB{_AN}{{28,}}+"),
    _token("dropbox_token", "sl.", rf"sl\.(?:u\.)?{_W}{{100,}}+"),
    _token("linear_key", "lin_api_ lin_oauth_", f"lin_(?:api|oauth)_{_AN}{{32,64}}"),
    _token("notion_key", "secret_ ntn_", f"(?:secret_{_AN}{{43}}|ntn_{_AN}{{40,50}})"),
    _token("vault_token", "hvs. hvb. hvr.", rf"hv[sbr]\.{_W}{{24,}}+"),
    _token("terraform_token", ".atlasv1.", rf"{_AN}{{14}}\.atlasv1\.{_W}{{60,}}+"),
    _token("databricks_token", "dapi", rf"dapi{_HEX}{{32}}(?:-\d)?"),
    _token("supabase_key", "sbp_ sb_secret_", f"(?:sbp_{_HEX}{{40}}|sb_secret_{_W}{{20,}}+)"),
    _token("figma_token", "figd_", f"figd_{_W}{{40,}}+"),
    _token("airtable_token", "pat", rf"pat{_AN}{{14}}\.{_HEX}{{64}}"),
    _token("postman_key", "PMAK-", f"PMAK-{_HEX}{{24}}-{_HEX}{{34}}"),
    _token("grafana_token", "glsa_ glc_", f"(?:glsa_{_AN}{{32}}_[0-9A-Fa-f]{{8}}|glc_[A-Za-z0-9+/]{{32,}}+={{0,2}})"),
    _token("sentry_token", "sntrys_ sntryu_", r"sntry[su]_[A-Za-z0-9+/_=]{40,}+"),
    _token("planetscale_token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{32,64}"),
    _token("doppler_token", "dp.pt. dp.st. dp.ct.", rf"dp\.[a-z]{{2}}\.(?:[a-z0-9_-]{{2,35}}\.)?{_AN}{{40,44}}"),
    _token("rubygems_key", "rubygems_", f"rubygems_{_HEX}{{48}}"),
    _token("pulumi_token", "pul-", f"pul-{_HEX}{{40}}"),
    _token("groq_key", "gsk_", f"gsk_{_AN}{{52}}"),
    _token("replicate_token", "r8_", f"r8_{_AN}{{37}}"),
    _token("xai_key", "xai-", f"xai-{_AN}{{70,90}}"),
    _token("perplexity_key", "pplx-", f"pplx-{_AN}{{48,56}}"),
    _token("langsmith_key", "lsv2_", f"lsv2_(?:pt|sk)_{_HEX}{{32}}_{_HEX}{{10}}"),
    _token("hubspot_token", "pat-na pat-eu", rf"pat-(?:na|eu)\d-{_UUID}"),
    _token("tailscale_key", "tskey-", f"tskey-[a-z]{{3,12}}-{_AN}{{8,}}-{_AN}{{20,}}+"),
    _token("netlify_token", "nfp_", f"nfp_{_AN}{{36,40}}"),
    _token("sonar_token", "sqp_ squ_ sqa_", f"sq[pua]_{_HEX}{{40}}"),
    _token("dynatrace_token", "dt0", r"dt0[a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    _token("alibaba_key", "LTAI", f"LTAI{_AN}{{16,20}}"),
    _token("artifactory_key", "AKCp", f"AKCp{_AN}{{60,}}+"),
    _token("age_key", "AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    Form(
        kind="jwt",
        literals=("eyJ",),
        pattern=re.compile(rf"(?<!{_W})eyJ{_W}{{8,}}+\.eyJ{_W}{{8,}}+\.{_W}{{16,}}+"),
    ),
    _token("flyio_token", "fo1_ fm1r_ fm1a_ fm2_", rf"(?:fo1_{_W}{{43}}|fm\d[a-z]?_[A-Za-z0-9+/=,]{{60,}}+)"),
    _token("discord_token", ".", rf"[MNO]{_W}{{23,27}}\.{_W}{{6}}\.{_W}{{27,38}}"),
)

_BREAK = r"(?:[\s\0\"'+>|,]|\\[nr])"
NAMED = (  # found by a name in lower case, which may stand apart
    Form(
        kind="aws_secret_key",
        literals=("akia", "asia", "secret"),
        pattern=re.compile(
            r"(?:(?i:secret.?access.?key|aws.{0,20}secret)|(?:AKIA|ASIA)[A-Z2-7]{16})[\s\S]{0,120}?"
            r"(?<![A-Za-z0-9/+=])(?P<v>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
        ),
        fits=_mixed_case,
    ),
    _near("twilio_key", "twilio", f"{_HEX}{{32}}"),
    _near("mailgun_key", "mailgun", f"{_HEX}{{32}}-{_HEX}{{8}}-{_HEX}{{8}}"),
    _near("heroku_key", "heroku", f"(?i:{_UUID})"),
    _near("cloudflare_key", "cloudflare cf_api", f"{_W}{{40}}", _mixed_case),
    _near("datadog_key", "datadog dd_api dd_app", f"{_HEX}{{32}}(?:{_HEX}{{8}})?"),
    _near("pagerduty_key", "pagerduty", r"(?:[a-z]\+)?[A-Za-z0-9_+-]{18,20}", _mixed_case),
    _near("okta_token", "okta ssws", f"00{_W}{{40}}"),
    _near("vault_token", "vault", rf"[sbr]\.{_AN}{{24}}"),
    Form(
        kind="wireguard_key",
        literals=("privatekey", "presharedkey"),
        pattern=re.compile(r"(?:PrivateKey|PresharedKey)\s{0,3}=\s{0,3}(?P<v>[A-Za-z0-9+/]{43}=)"),
        fits=_mixed_case,
    ),
    Form(
        kind="private_key",
        literals=("private key",),
        pattern=re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,10} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
            rf"(?:{_BREAK}*+(?:[A-Za-z0-9+/=]{{16,}}+|(?:Proc-Type|DEK-Info|Version|Comment|Charset|Hash):[^\n\0]*+))++"
            rf"(?:{_BREAK}*+=?[A-Za-z0-9+/=]{{1,15}}+)?"
            rf"(?:{_BREAK}*+(?:…|-----END [A-Z0-9 ]{{0,40}}-----))?"
        ),
    ),
)
