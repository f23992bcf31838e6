#!/usr/bin/env bash
# What each driver adds to a move, beside a bare write and fdatasync in the folder where robots with piles keep their order (DIR, default TMPDIR);
# how many cores eight burning and four verifying file-backed drives keep busy at BD 12x, in memory. Medians and processor time: other work
# on the machine shows in neither by much.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d -p "${DIR:-${TMPDIR:-/tmp}}")
trap 'rm -rf "$dir"' EXIT
TMPDIR=$dir go test -run '^$' -bench Drivers -benchtime "${MOVES:-1000}x" ./robot/robottest
TMPDIR=/dev/shm go test -run '^$' -bench Twelve -benchtime "${ROUNDS:-2}x" ./robot/drive/file
