#!/usr/bin/env bash
# Prints the figures of protection across discs, each beside its peer in one run: coding a set's images beside klauspost/reedsolomon on
# shards of the same size, on one core; a scrub of a file-backed disc beside reading the same file and hashing it. Then the peak of
# memory and the time of every command on large sparse images, which must be under 256 MiB whatever their size.
#
#   SET=1G             size of each image of a set of 20+4; its parity takes eight of them while it is made
#   ECC=20G MEDIUM=BD  size of an image that gets error correction of its own, and its medium; the disk must hold what is added
#   DIR=/some/folder   where they are made (default: a temporary folder)
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${DIR:-$(mktemp -d)}
mkdir -p "$dir"
trap 'rm -rf "$dir/images" "$dir/odarchive" "$dir/log"; [ -n "${DIR:-}" ] || rm -rf "$dir"' EXIT

echo "== Coding, one core: bytes of data images, and parts of the library's own rate (wanted: 70 % all at once, 50 % one by one)"
GOMAXPROCS=1 go test -run '^$' -bench '^BenchmarkEncode$' -benchtime "${BENCHTIME:-2s}" ./archive/discset | grep ^Benchmark
echo "== Scrub of a file-backed disc beside a plain read with SHA-256 (wanted: 0.8)"
go test -run '^$' -bench '^BenchmarkScrub$' ./internal/agent | grep ^Benchmark

echo "== Peak memory (wanted: under 256 MiB) of images of ${SET:-1G} in a set of 20+4, and of ${ECC:-20G} with error correction of its own"
go build -o "$dir/odarchive" ./cmd/odarchive
images=$dir/images
rm -rf "$images"
mkdir "$images"
hole() { # hole NAME SIZE NUMBER: a sparse file that begins like no other
  printf '%s' "image $3" >"$1"
  truncate -s "$2" "$1"
}
measure() { # measure WANTED-EXIT-CODE WHAT ARGUMENTS…
  local want=$1 what=$2 code=0 w u s rss
  shift 2
  /usr/bin/time -q -o "$dir/log" -f '%e %U %S %M' "$dir/odarchive" "$@" --quiet >/dev/null 2>&1 || code=$?
  [ $code -eq "$want" ] || { echo "bench-discset: odarchive $*: exit code $code, want $want" >&2; exit 1; }
  read -r w u s rss <"$dir/log"
  printf '%-34s %8.1f s %8.1f s of CPU %6d MiB\n' "$what" "$w" "$(echo "$u + $s" | bc)" $((rss / 1024))
  [ $((rss / 1024)) -lt 256 ] || { echo "bench-discset: $what takes more than 256 MiB" >&2; exit 1; }
}
for n in $(seq -w 0 19); do hole "$images/$n.iso" "${SET:-1G}" "$n"; done
measure 0 'set parity, ten images' set parity --to "$images/set" --data 20 --parity 4 "$images"/0?.iso
measure 0 'set parity, ten more' set parity --to "$images/set" --data 20 --parity 4 "$images"/1?.iso
measure 0 'set verify' set verify "$images/set" "$images"/*.iso
rm "$images"/{03,07,11,19}.iso
measure 0 'set rebuild, four of 24 are lost' set rebuild "$images/set" --image 3 --to "$images/03.iso" "$images"/*.iso
cmp -n 8 "$images/03.iso" <(printf 'image 03')
rm -r "$images"
mkdir "$images"
hole "$images/one.iso" "${ECC:-20G}" one
measure 0 'ecc add' ecc add "$images/one.iso" --medium "${MEDIUM:-BD}"
measure 0 'ecc test' ecc test "$images/one.iso"
# A burst of a hundredth, and a sector in every 64 MiB.
python3 - "$images/one.iso" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    end = f.seek(0, 2)
    for at in range(0, end - (1 << 26), 1 << 26):
        f.seek(at + (at >> 14) // 2048 * 2048)
        f.write(b"dirt" * 512)
    f.seek(end // 2 // 2048 * 2048)
    for _ in range(end // 100 >> 20):
        f.write(b"dirt" * (1 << 18))
PY
measure 4 'ecc test of damage' ecc test "$images/one.iso"
measure 0 'ecc repair' ecc repair "$images/one.iso"
measure 0 'ecc test again' ecc test "$images/one.iso"
# All checksums and twelve layers of parity, without a read error that would tell: each row has to be searched for what is wrong.
read -r layer roots < <("$dir/odarchive" ecc test "$images/one.iso" --json --quiet | python3 -c 'import json, sys; r = json.load(sys.stdin); print(r["layer_sectors"], r["roots"])')
python3 - "$images/one.iso" "$layer" "$roots" <<'PY'
import os, sys
name, layer, roots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(name, "r+b") as f:
    f.seek((254 - roots) * layer * 2048)
    for _ in range(min(13, 1 + (roots - 1) // 2)):
        left = layer * 2048
        while left:
            left -= f.write(os.urandom(min(left, 1 << 20)))
PY
measure 0 'ecc repair without checksums' ecc repair "$images/one.iso"
