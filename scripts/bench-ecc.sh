#!/usr/bin/env bash
# Times RS03 on images of a CD's size beside dvdisaster, both on the same files in one run, by processor time; then the codec alone, on
# one core and on all: wanted are 1,400 MB of data a second of one core at 32 roots, and the same of each where there are more. CODEC=1
# leaves dvdisaster out. DIR (default a new folder on /dev/shm, 3 GB) takes the images.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${DIR:-$(mktemp -d -p /dev/shm)}
[ -n "${DIR:-}" ] || trap 'rm -rf "$dir"' EXIT
if [ -z "${CODEC:-}" ]; then
  go build -o "$dir/odarchive" ./cmd/odarchive
  ODARCHIVE_BENCH="$dir/odarchive" ODARCHIVE_BENCH_DIR="$dir" go test -count=1 -timeout 60m -run '^TestPeers$' -v ./archive/ecc
fi
go test -run '^$' -cpu 1 -bench 'Codec|Stagger|Rename' ./archive/ecc | grep ^Benchmark
go test -run '^$' -cpu "1,$(nproc)" -bench Cores -benchtime 2s ./archive/ecc | grep ^Benchmark
