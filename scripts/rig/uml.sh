#!/usr/bin/env bash
# Runs the agent's rig tests under a real Linux kernel, with its drivers for discs, changers and iSCSI, and with udev: in User
# Mode Linux, which is an ordinary process. Called by scripts/rig.sh, which installs what it needs.
set -euo pipefail
cd "$(dirname "$0")/../.."
payload=$(mktemp -d)
log=$(mktemp)
trap 'rm -rf "$payload" "$log"' EXIT
go test -c -o "$payload/agent.test" ./internal/agent
cat >"$payload/run.sh" <<'RUN'
#!/bin/bash
export ODARCHIVE_RIG=kernel CI=1 HOME=/root
/usr/sbin/iscsid -f >/dev/null 2>&1 &
sleep 1
./agent.test -test.run TestRig -test.v -test.timeout 5m
RUN
chmod +x "$payload/run.sh"
TMPDIR=/dev/shm timeout 600 linux.uml mem=2048M root=/dev/root rootfstype=hostfs rootflags=/ ro \
  init="$PWD/scripts/rig/uml-init.sh" con0=fd:0,fd:1 con=null quiet payload="$payload" </dev/null 2>&1 | tee "$log"
grep -q 'GUEST run.sh rc=0' "$log"
