#!/bin/sh
# Installs what the browser tests need, where this user may; says so where not.
have() { [ -x /usr/bin/chromium ] && [ -x /usr/bin/chromedriver ]; }
have && exit 0
if [ "$(id -u)" = 0 ]; then as=""; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as="sudo -n"; else as="no"; fi
if [ "$as" = no ] || ! command -v apt-get >/dev/null; then
  echo "  warn  browser     Chromium is not here and cannot be installed without root: its tests are skipped"
  exit 0
fi
echo "  ...   browser     installing Chromium for the browser tests"
if $as apt-get -qq update >/tmp/stoker-apt.log 2>&1 && DEBIAN_FRONTEND=noninteractive $as apt-get -qq install -y --no-install-recommends chromium chromium-driver >>/tmp/stoker-apt.log 2>&1; then
  exit 0
fi
echo "  warn  browser     Chromium could not be installed, its tests are skipped: $(tail -1 /tmp/stoker-apt.log)"
