#!/usr/bin/env bash
# Times RS03 on images of a CD's size beside dvdisaster, both on the same files in one run, by processor time; then the codec
# alone. DIR (default a new folder on /dev/shm, 3 GB) takes the images.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${DIR:-$(mktemp -d -p /dev/shm)}
[ -n "${DIR:-}" ] || trap 'rm -rf "$dir"' EXIT
go build -o "$dir/odarchive" ./cmd/odarchive
ODARCHIVE_BENCH="$dir/odarchive" ODARCHIVE_BENCH_DIR="$dir" go test -count=1 -timeout 60m -run '^TestPeers$' -v ./archive/ecc
go test -run '^$' -bench 'Codec|Stagger|Rename' ./archive/ecc
