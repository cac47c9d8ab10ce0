"""Which release of vLLM an image holds: its tag says so where the image is vLLM's own, and nowhere else.

Sources: https://hub.docker.com/u/vllm, https://gallery.ecr.aws/q9t5s3a7 (vLLM's own builds),
https://gallery.ecr.aws/deep-learning-containers/vllm (AWS's, with vLLM's release first in the tag).
"""

import re

from stoker.catalog import releases

# A registry in front may be a mirror; an own image under a name like vLLM's counts its tags as it likes.
_OWN = re.compile(
    r"(?:^|/)vllm/vllm-openai(-[a-z0-9]+)?$"
    r"|(?:^|/)q9t5s3a7/vllm-(cpu-)?(release|nightly|postmerge)-repo$"
    r"|(?:^|/)deep-learning-containers/vllm$"
)
_TAG = re.compile(r"v?(0\.\d+\.\d+(?:\.\d+)?(?:\.post\d+|rc\d+)?)(?:[-_+].*)?")


def is_vllms(image: str) -> bool:
    """Whether it is an image whose tags are vLLM's releases."""
    return _OWN.search(_apart(image)[0].lower()) is not None


def release_of(image: str) -> str | None:
    """The release of vLLM in an image; None where its name does not say it."""
    name, tag = _apart(image)
    match = _TAG.fullmatch(tag)
    known = match is not None and releases.is_release(match[1]) and _OWN.search(name.lower())
    return match[1] if match is not None and known else None


def _apart(image: str) -> tuple[str, str]:
    """Name and tag of an image; the tag is empty where there is none."""
    head, _, tail = image.partition("@")[0].rpartition("/")
    name, _, tag = tail.partition(":")
    return (f"{head}/{name}" if head else name), tag
