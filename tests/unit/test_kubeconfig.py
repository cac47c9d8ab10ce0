"""Several kubeconfigs as one: the first counts, paths hold from their own file, what is not there is left
out."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stoker.targets.kubernetes.connection import connection
from stoker.targets.kubernetes.kubeconfig import read


def written(folder: Path, **parts: Any) -> str:
    folder.mkdir()
    body = {"apiVersion": "v1", "kind": "Config", "clusters": [], "contexts": [], "users": [], **parts}
    (folder / "config").write_text(yaml.safe_dump(body))
    return str(folder / "config")


def named(name: str, server: str, **user: str) -> dict[str, Any]:
    cluster = {"server": server, "certificate-authority": "ca.crt"}
    return {
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


def test_the_first_counts_and_paths_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = written(tmp_path / "one", **named("a", "https://first", tokenFile="token"))
    both = named("a", "https://second")
    both = {
        part: both[part] + rest for part, rest in named("b", "https://b", **{"client-key": "b.key"}).items()
    }
    two = written(tmp_path / "two", **both, **{"current-context": "b"})
    whole = read([one, str(tmp_path / "gone"), two])
    assert whole.current_context == "b", "the first file names none"
    assert whole.clusters["a"].server == "https://first"
    assert whole.clusters["a"].certificate_auth == str(tmp_path / "one/ca.crt")
    assert whole.clusters["b"].certificate_auth == str(tmp_path / "two/ca.crt")
    assert whole.users["b"].client_key == str(tmp_path / "two/b.key")
    monkeypatch.setenv("KUBECONFIG", f"{one}:{two}")
    assert connection(None).cluster.server == "https://b"
    assert connection("a").cluster.server == "https://first"
