#!/bin/sh
# Installs what the browser tests need from the system, where this user may. Where not, their tier is skipped and says so.
command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit 0
command -v apt-get >/dev/null || exit 0
if [ "$(id -u)" = 0 ]; then as=""; elif sudo -n true 2>/dev/null; then as="sudo -n"; else exit 0; fi
log=.venv/apt.log
echo "  ...   browser     installing Chromium and its driver" >&2
# An apt that is busy elsewhere is waited for.
apt="$as apt-get -qq -o DPkg::Lock::Timeout=120"
if $apt update >"$log" 2>&1 &&
  $as env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends \
    chromium chromium-driver >>"$log" 2>&1
then
  echo "  ok    browser     Chromium is here" >&2
else
  echo "  warn  browser     Chromium could not be installed: $(tail -n 1 "$log")" >&2
fi
