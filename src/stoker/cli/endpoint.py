"""An endpoint that the command line names by its address: `--url`, with `--model` and `--key`."""

from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.target import Endpoint
from stoker.spec.fields import read_key
from stoker.spec.nouns import KeyRef
from stoker.system import keys


def given_endpoint(url: str, model: str | None, key: str | None) -> Endpoint:
    """The endpoint at an address, with or without /v1, and the first model that it lists. Raises: UsageError,
    EnvironmentFailed."""
    secret = keys.read(_key(key), "--key") if key else None
    base = url.rstrip("/").removesuffix("/v1")
    if not base.startswith(("http://", "https://")):
        raise UsageError(
            f"{url} is no address", why="it begins with no http:// or https://", fix="--url http://HOST:PORT"
        )
    return Endpoint(base, model or _only_model(base, secret), secret)


def _key(text: str) -> KeyRef:
    try:
        return read_key(text)
    except ValueError as error:
        raise UsageError("--key takes a reference", why=str(error), fix="--key env:NAME") from None


def _only_model(url: str, key: str | None) -> str:
    import httpx2

    try:
        answer = httpx2.get(
            f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=10
        )
        return str(answer.json()["data"][0]["id"])
    except httpx2.TransportError as error:
        raise EnvironmentFailed(
            f"{url} does not answer", why=str(error) or type(error).__name__, fix="check --url"
        ) from None
    except (ValueError, KeyError, IndexError, TypeError):
        raise UsageError(
            f"{url} does not list its models", why="GET /v1/models gave none", fix="--model NAME"
        ) from None
