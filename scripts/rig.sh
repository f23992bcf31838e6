#!/usr/bin/env bash
# Runs the tests that need device nodes: SG_IO, the real cdrskin and the agent's own drivers against the jukebox that tgtd
# emulates, on a machine whose kernel may have no SCSI at all; then the same under a real kernel in User Mode Linux. Needs root and /dev/fuse. Only the loopback is used.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "rig: run it as root: it mounts a FUSE folder of device nodes" >&2; exit 1; }
[ -e /dev/fuse ] || { echo "rig: this machine has no /dev/fuse" >&2; exit 1; }

missing=()
PATH=$PATH:/usr/sbin:/sbin
for pair in tgtd:tgt cdrskin:cdrskin cc:gcc pkg-config:pkg-config umount:mount \
  linux.uml:user-mode-linux iscsiadm:open-iscsi udevadm:udev modprobe:kmod busybox:busybox-static; do
  command -v "${pair%:*}" >/dev/null || missing+=("${pair#*:}")
done
for header in fuse3/fuse_lowlevel.h:libfuse3-dev iscsi/iscsi.h:libiscsi-dev stdio.h:libc6-dev; do
  [ -e "/usr/include/${header%:*}" ] || missing+=("${header#*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "rig: installing ${missing[*]}"
  apt-get update -q >/dev/null
  # At run level 1 packages start no services: tgtd is started by the tests, on a port of their own.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
fi

export ODARCHIVE_RIG=1 CI=1
go test -count=1 -timeout 10m ./robot/scsi/... ./robot/changer/smc ./robot/drive/mmc
go test -count=1 -timeout 10m -run Rig ./robot/drive/libburn ./internal/agent
scripts/rig/uml.sh
