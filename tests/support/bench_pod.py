"""The pod of a load test in the double, run for real: its own command as a process of this machine."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from stoker.render.manifests.bench_job import FOLDER, KEY, RESULTS
from tests.support.cluster import Cluster
from tests.support.cluster.store import Object

URL = "http://shop:8000"
LEAVES = "double/process"
COMPONENT = "app.kubernetes.io/component"


class BenchPod:
    """What the double does with a load test's pod: it runs its command against `url` with `key`, or, with
    `notes`, nothing but what these annotations say. spec: the pod's, once there is one."""

    def __init__(self, cluster: Cluster, folder: Path, url: str = "", **notes: str) -> None:
        self.spec: dict[str, Any] = {}
        self.labels: dict[str, str] = {}
        self.key = ""
        self._cluster, self._folder, self._url = cluster, folder, url
        self._notes = {f"fake/{name.replace('_', '-')}": text for name, text in notes.items()}
        cluster.store.admit.append(self._admit)

    def _admit(self, kind: str, body: Object) -> None:
        """As the pod is made: the server holds its lock."""
        labels = body["metadata"].get("labels", {})
        if kind != "Pod" or labels.get(COMPONENT) != "bench" or self._cluster.store.rehearsing:
            return
        self.spec, self.labels = body["spec"], labels
        notes = self._notes or {"fake/log": "", "fake/run-seconds": "1000"}
        body["metadata"].setdefault("annotations", {}).update(notes)
        if self._url:
            body["metadata"]["finalizers"] = [LEAVES]  # a pod that is deleted goes once its process has ended
            threading.Thread(target=self._run, args=(labels["job-name"],), daemon=True).start()

    def _run(self, job: str) -> None:
        (container,) = self.spec["containers"]
        config = self._cluster.store.get("ConfigMap", "default", job)["data"]
        for name, text in config.items():
            (self._folder / name).write_text(text)
        words = [
            word.replace(FOLDER, str(self._folder))
            .replace(RESULTS, str(self._folder / "run"))
            .replace(URL, self._url)
            for word in container["command"]
        ]
        said = ""
        with subprocess.Popen(
            [sys.executable, *words[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, KEY: self.key, "STOKER_HOME": str(self._folder), "NO_COLOR": "1"},
        ) as process:
            assert process.stdout is not None
            threading.Thread(target=self._ended, args=(job, process), daemon=True).start()
            for line in process.stdout:
                said += line
                self._note(job, {"fake/log": said})
            self._note(job, {"fake/exit-code": str(process.wait()), "fake/run-seconds": "0"})
        time.sleep(0.5)  # its last lines are read
        self._note(job, {}, finalizers=[])

    def _ended(self, job: str, process: "subprocess.Popen[str]") -> None:
        """As a kubelet does with a pod that is deleted."""
        store = self._cluster.store
        while process.poll() is None:
            with store.lock:
                mine = [one["metadata"] for one in store.list("Pod") if job in one["metadata"]["name"]]
            if any("deletionTimestamp" in one for one in mine):
                process.terminate()
                return
            time.sleep(0.05)

    def _note(self, job: str, notes: dict[str, str], **more: Any) -> None:
        store = self._cluster.store
        with store.lock:
            for pod in store.list("Pod"):
                meta = pod["metadata"]
                if meta["labels"].get("job-name") == job:
                    after = {**meta, "annotations": {**meta["annotations"], **notes}, **more}
                    store.put(("Pod", meta["namespace"], meta["name"]), {**pod, "metadata": after})
