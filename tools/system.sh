#!/bin/sh
# Installs what the browser and Prometheus tests need from the system, where this user may. Where not, their tier is skipped and says so.
command -v chromium >/dev/null && command -v chromedriver >/dev/null && command -v promtool >/dev/null && exit 0
command -v apt-get >/dev/null || exit 0
if [ "$(id -u)" = 0 ]; then as=""; elif sudo -n true 2>/dev/null; then as="sudo -n"; else exit 0; fi
log=.venv/apt.log
echo "  ...   system      installing Chromium, its driver and Prometheus" >&2
# An apt that is busy elsewhere is waited for.
apt="$as apt-get -qq -o DPkg::Lock::Timeout=120"
if $apt update >"$log" 2>&1 &&
  $as env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends \
    chromium chromium-driver prometheus >>"$log" 2>&1
then
  echo "  ok    system      Chromium and Prometheus are here" >&2
else
  echo "  warn  system      Chromium and Prometheus could not be installed: $(tail -n 1 "$log")" >&2
fi
