"""The Hugging Face hub over HTTP: one listing at a commit, then ranges of files at that commit."""

import os
import re
from collections.abc import Iterator
from typing import Any

import httpx2

from stoker.errors import UsageError, WeightsFailed
from stoker.spec.nouns import Hub
from stoker.units import Bytes
from stoker.weights.remote import Interrupted, Listing, RemoteFile, ask_nobody, needed

TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
RETRIED = (408, 429, 500, 502, 503, 504)


class HubRemote:
    """One repository at one revision. Without a token, HF_TOKEN of the environment is used, as the hub's own
    tools do.

    The token goes to the hub alone: httpx drops it where a redirect leads away.
    """

    def __init__(self, source: Hub, token: str | None) -> None:
        self._source = source
        self._endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        token = token or os.environ.get("HF_TOKEN") or None
        headers = {"User-Agent": "stoker"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._client = httpx2.Client(headers=headers, timeout=TIMEOUT, follow_redirects=True)
        self._token = token
        self._commit = source.revision

    def listing(self) -> Listing:
        """The files at the revision's commit. Raises: UsageError, WeightsFailed."""
        ask_nobody(str(self._source), "HF_HUB_OFFLINE")
        base = f"{self._endpoint}/api/models/{self._source.repo}"
        self._commit = str(self._get(f"{base}/revision/{self._source.revision}").json()["sha"])
        rows: list[dict[str, Any]] = []
        url: str | None = f"{base}/tree/{self._commit}?recursive=true"
        while url:
            answer = self._get(url)
            rows += [row for row in answer.json() if row["type"] == "file"]
            following = answer.links.get("next")
            url = str(following["url"]) if following else None
            if url is not None and not url.startswith(f"{self._endpoint}/"):
                raise WeightsFailed("the hub's listing goes on at another host", why=url.split("?")[0])
        files = tuple(_file(row) for row in rows if needed(row["path"]))
        skipped = tuple(row["path"] for row in rows if not needed(row["path"]))
        return Listing(str(self._source), self._commit, files, skipped)

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()

    def _get(self, url: str) -> httpx2.Response:
        try:
            answer = self._client.get(url)
        except httpx2.TransportError as error:
            why = str(error) or type(error).__name__
            raise WeightsFailed(
                f"{self._endpoint} does not answer",
                why=why,
                fix="is there a network? HF_ENDPOINT names a mirror",
                rule="hub-network",
            ) from None
        self._check(answer)
        return answer

    def _check(self, answer: httpx2.Response) -> None:
        status, repo = answer.status_code, self._source.repo
        if status in (200, 206):
            return
        page = f"{self._endpoint}/{repo}"
        if status in (401, 403):
            why = "the model is gated or private" if self._token is None else "this token may not read it"
            raise UsageError(
                f"the hub refuses {repo}",
                why=why,
                fix=f"accept the licence at {page}, then set HF_TOKEN, or in the file model: {{source: "
                f'{self._source}, token: "env:NAME"}}',
                rule="hub-gated",
            )
        if status == 404:
            why = "there is no such repository or revision" + (
                "" if self._token else ", or it is private and no token was sent"
            )
            raise UsageError(
                f"the hub has no {self._source}", why=why, fix=f"check the name at {page}", rule="hub-missing"
            )
        raise WeightsFailed(
            f"the hub answered {status}",
            at=str(answer.url).split("?")[0],
            why=answer.text[:200],
            fix="try again later",
        )

    def read(self, file: RemoteFile, start: int, end: int) -> Iterator[bytes]:
        """The bytes from start up to end, not included. Raises: Interrupted, to be tried again;
        StokerErrors."""
        url = f"{self._endpoint}/{self._source.repo}/resolve/{self._commit}/{file.path}"
        try:
            with self._client.stream("GET", url, headers={"Range": f"bytes={start}-{end - 1}"}) as answer:
                if answer.status_code in RETRIED:
                    raise Interrupted(f"the hub answered {answer.status_code}")
                if answer.status_code not in (200, 206):
                    answer.read()
                    self._check(answer)
                if answer.status_code == 200 and start:
                    raise Interrupted("the hub ignored the range")
                yield from answer.iter_bytes()
        except httpx2.TransportError as error:
            raise Interrupted(str(error) or type(error).__name__) from None


def _file(row: dict[str, Any]) -> RemoteFile:
    large = row.get("lfs") or {}
    digest = large.get("oid") or large.get("sha256")
    sha256 = digest if digest and re.fullmatch(r"[0-9a-f]{64}", digest) else None
    size = Bytes(large.get("size") or row["size"])
    return RemoteFile(
        row["path"], size, sha256, git_sha1=None if sha256 else row.get("oid"), version=row.get("oid", "")
    )
