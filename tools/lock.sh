#!/bin/sh
# Writes the lock files. The CPU build of torch is not on PyPI under its own name: its hashes stand in locks/torch.in,
# and what it would pull in for GPUs is left out, as nothing here uses it.
set -eu
cd "$(dirname "$0")/.."
uv="${UV:-.venv/bin/uv}"
skip="torch torchvision torchaudio torchcodec triton"
find_links="${FIND_LINKS:+--find-links $FIND_LINKS}"
compile() { # compile OUT ARGS...
  out=$1; shift
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
    --emit-build-options --no-emit-index-url --no-emit-find-links -o "locks/$out" "$@"
}
omit=""; for name in $skip; do omit="$omit --no-emit-package $name"; done
# shellcheck disable=SC2086
compile cpu.txt $find_links $omit --extra local --extra page --extra buckets --extra cpu pyproject.toml locks/build.in
compile cuda.txt --extra local --extra page --extra buckets --extra cuda pyproject.toml locks/build.in
compile none.txt --extra local --extra page --extra buckets pyproject.toml locks/build.in
compile dev.txt -c locks/cpu.txt --group dev
cat locks/torch.in >> locks/cpu.txt
