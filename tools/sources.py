"""Where packages come from: pip's own configuration, said in uv's words, as uv does not read it."""

from __future__ import annotations

import ast
import ssl
import sys

SECTIONS = ("global", "install", ":env:")  # as pip reads them: the later wins
TRUE = ("1", "true", "yes", "on")


def pip_settings(listing: str) -> dict[str, str]:
    """What `pip config list` prints, as one value a key; values of several lines keep them."""
    found: dict[str, str] = {}
    for wanted in SECTIONS:
        for line in listing.splitlines():
            name, equals, value = line.partition("=")
            section, _, key = name.partition(".")
            if equals and section == wanted:
                found[key] = _text(value.strip())
    return found


def _text(value: str) -> str:
    try:
        return str(ast.literal_eval(value))  # pip prints the repr
    except (ValueError, SyntaxError):
        return value


def uv_flags(settings: dict[str, str]) -> list[str]:
    """What has no variable in uv."""
    return ["--no-index"] if no_index(settings) else []


def no_index(settings: dict[str, str]) -> bool:
    """Whether pip is told to use no index at all."""
    return settings.get("no-index", "").lower() in TRUE


def uv_environment(settings: dict[str, str]) -> dict[str, str]:
    """uv's variables that make it look where pip would; variables, as an index's address may hold a
    password."""
    several = {
        "UV_INDEX": (" ", "extra-index-url"),
        "UV_FIND_LINKS": (",", "find-links"),
        "UV_INSECURE_HOST": (" ", "trusted-host"),
    }
    single = {
        "UV_DEFAULT_INDEX": "index-url",
        "SSL_CERT_FILE": "cert",
        "SSL_CLIENT_CERT": "client-cert",
        "HTTPS_PROXY": "proxy",
        "HTTP_PROXY": "proxy",
        "UV_HTTP_TIMEOUT": "default-timeout",
        "UV_HTTP_RETRIES": "retries",
    }
    out = {
        "UV_INDEX_STRATEGY": "unsafe-best-match"
    }  # pip takes the best version over all places, not the first's
    for name, (joint, key) in several.items():
        if settings.get(key, "").split():
            out[name] = joint.join(settings[key].split())
    for name, key in single.items():
        if settings.get(key):
            out[name] = settings[key]
    if settings.get("timeout"):
        out["UV_HTTP_TIMEOUT"] = settings["timeout"]
    if settings.get("keyring-provider") in ("subprocess", "auto", "import"):
        out["UV_KEYRING_PROVIDER"] = "subprocess"
    return out


def system_certificates() -> dict[str, str]:
    """Says uv to trust what the system trusts, as pip does, where the system keeps certificates."""
    paths = ssl.get_default_verify_paths()
    return {"UV_SYSTEM_CERTS": "1"} if sys.platform == "darwin" or paths.cafile or paths.capath else {}
