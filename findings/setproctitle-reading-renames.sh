#!/usr/bin/env bash
# setproctitle 1.3.8, the library by which vLLM names its engine core and workers: what asking for the title does.
#
# Guess:    `getproctitle()` reads the command line and changes nothing; only `setproctitle()` renames a process.
# Seen:     setproctitle 1.3.8, Python 3.11, Linux 6: after the first `getproctitle()` the kernel's name of the process
#           (/proc/PID/comm, what `ps -C`, `pgrep` without -f, `top` and the OOM killer's line show) is the beginning
#           of the command line, 15 characters of the interpreter's path: `python` becomes `/tmp/tmp.abcdef`; and in
#           /proc/PID/cmdline the words stand in one, with blanks between them. The import alone changes nothing.
# So:       a supervisor or an exporter that finds its processes by name, or by a word of their command line, loses one
#           that has only asked for its title. Who wants the title without that reads /proc/self/cmdline.
#
# Needs Python 3.11 on Linux, about 20 MB of disk.
# Ends with 0 where it is still so, with 1 where it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/env"
"$dir/env/bin/pip" install --quiet --disable-pip-version-check "setproctitle==1.3.8"

cat > "$dir/look.py" <<'PY'
from pathlib import Path


def name() -> str:
    return Path("/proc/self/comm").read_text().strip()


def line() -> bytes:
    return Path("/proc/self/cmdline").read_bytes().rstrip(b"\0")


names, lines = [name()], [line()]
import setproctitle  # noqa: E402

names.append(name())
title = setproctitle.getproctitle()
names.append(name())
lines.append(line())
print("name before, after the import, after getproctitle():", names)
print("the title that was asked for:", title)
print("the command line before and after:", *lines)
joined = lines[0].count(b"\0") == 1 and lines[1] == lines[0].replace(b"\0", b" ")
renamed = names[0] == names[1] and names[2] == lines[1].decode()[:15] != names[0]
raise SystemExit(0 if joined and renamed else 1)
PY
"$dir/env/bin/python" "$dir/look.py" && echo "still so: reading the title renames the process" || { echo "changed"; exit 1; }
