#!/usr/bin/env bash
# Install what tests start on loopback: Ceph, Slurm, Caddy and Chromium from Debian, Azurite from
# npm; and shellcheck.
# (rclone and the GCS emulator come from PyPI with emodask's test extra.) Quick the second time.
set -euo pipefail
cd "$(dirname "$0")/../.."

azurite_version=3.35.0
packages=(
    ceph-base ceph-common ceph-mgr ceph-mon ceph-osd radosgw
    munge slurm-wlm slurmctld slurmd
    shellcheck caddy
    npm
    chromium ffmpeg fonts-dejavu-core
)

absent=()
for package in "${packages[@]}"; do
    if [ "$package" = npm ] && command -v npm >/dev/null; then continue; fi
    if ! dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null |
        grep -q '^installed$'; then
        absent+=("$package")
    fi
done
if [ ${#absent[@]} -gt 0 ]; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        # Services are the tests' to start: none comes up with its package.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod +x "$policy"
            trap 'rm -f "$policy"' EXIT
        fi
        apt-get install -qq --yes --no-install-recommends "${absent[@]}" >/dev/null
    else
        echo "Some tests need packages that only root can install here; on Debian or Ubuntu:" >&2
        echo "  sudo apt-get install --no-install-recommends ${absent[*]}" >&2
        echo "Without them these tests skip." >&2
    fi
fi

if [ ! -x .servers/node_modules/.bin/azurite-blob ]; then
    if command -v npm >/dev/null; then
        mkdir -p .servers
        npm install --prefix .servers --silent --no-audit --no-fund --no-save \
            "azurite@$azurite_version"
    else
        echo "Tests of Azure need npm, for 'npm install --prefix .servers azurite'." >&2
    fi
fi
