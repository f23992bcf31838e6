#!/usr/bin/env bash
# Times making an image of 100,000 files of 4 KiB in 100 folders, and of 20 files of 200 MB, with a warm cache, beside genisoimage -udf,
# xorriso and cat, RUNS times each in turn (default 3), and prints the medians of wall and CPU seconds. Then, by ourselves to /dev/null
# with the peak of memory: one sparse file of 120 GiB, and a million files of 4 KiB; laying out and streaming a million files without a
# file system; and packing a million files onto BD-R. DIR is where the files are made (15 GB free; default: a temporary folder). SETS
# chooses among small, large, sparse, million and figures; SPARSE is the sparse file's size and MILLION the number of folders of a
# thousand files: SETS="sparse million" SPARSE=4G MILLION=20 is a short run.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${DIR:-$(mktemp -d)}
trap 'rm -rf "$dir/out" "$dir/image.test"; [ -n "${DIR:-}" ] || rm -rf "$dir"' EXIT
mkdir -p "$dir"

make_small() {
  for d in $(seq -w 0 99); do
    mkdir -p "$dir/small/$d"
    head -c 4096000 /dev/urandom | split -b 4096 -a 3 -d - "$dir/small/$d/file"
  done
}
make_large() {
  mkdir -p "$dir/large"
  for i in $(seq -w 1 20); do head -c 200000000 /dev/urandom >"$dir/large/file$i"; done
}
make_sparse() { mkdir -p "$dir/sparse" && truncate -s "${SPARSE:-120G}" "$dir/sparse/file"; }
make_million() {
  python3 - "$dir/million" "${MILLION:-1000}" <<'PY'
import os, random, sys
folder, count = sys.argv[1], int(sys.argv[2])
data = random.Random(1).randbytes(1 << 20)
for d in range(count):
    os.makedirs(f"{folder}/{d:04d}")
    for n in range(1000):
        at = (d * 1000 + n) * 509 % (len(data) - 4096)
        with open(f"{folder}/{d:04d}/file{n:03d}.data", "wb") as f:
            f.write(data[at:at + 4096])
PY
}
all=${SETS:-small large sparse million figures}
sets='' alone='' figures=''
for s in $all; do
  case $s in
    small | large) sets+="$s " ;;
    sparse | million) alone+="$s " ;;
    figures) figures=yes ;;
    *) echo "bench-image: there is no set $s" >&2; exit 1 ;;
  esac
done
for from in $sets $alone; do
  [ -e "$dir/$from.made" ] || { "make_$from"; touch "$dir/$from.made"; }
done
go test -c -o "$dir/image.test" ./archive/image

cat_all() { find "$1" -type f -print0 | sort -z | xargs -0 cat >"$2"; }
ours() { IMAGE_DIR=$1 IMAGE_OUT=$2 "$dir/image.test" -test.run '^TestImageDirectory$' >/dev/null; }
genisoimage_udf() { genisoimage -quiet -udf -iso-level 3 -R -J -joliet-long -o "$2" "$1"; }
xorriso_rr() { xorriso -as mkisofs -quiet -R -o "$2" "$1" 2>/dev/null; }

TIMEFORMAT='%R %U %S'
declare -A wall cpu
measure() { # what how from to
  [ "$4" = /dev/null ] || rm -f "$4"
  local t
  t=$( { time "$2" "$3" "$4" >/dev/null 2>&1; } 2>&1 )
  read -r w u s <<<"$t"
  wall[$1]+="$w "
  cpu[$1]+="$(echo "$u + $s" | bc) "
}
median() { tr ' ' '\n' <<<"$1" | grep . | sort -n | awk '{a[NR]=$1} END {print a[int((NR+1)/2)]}'; }

for from in $sets; do cat_all "$dir/$from" /dev/null; done
for _ in $(seq "${RUNS:-3}"); do
  for from in $sets; do
    for how in cat_all ours genisoimage_udf xorriso_rr; do
      measure "$from $how file" "$how" "$dir/$from" "$dir/out"
    done
    for how in cat_all ours; do
      measure "$from $how null" "$how" "$dir/$from" /dev/null
    done
  done
done
[ -z "$sets" ] || printf '%-32s %8s %8s %14s\n' what 'wall s' 'CPU s' 'wall : cat'
for from in $sets; do
  for row in 'cat_all file' 'ours file' 'genisoimage_udf file' 'xorriso_rr file' 'cat_all null' 'ours null'; do
    w=$(median "${wall[$from $row]}")
    printf '%-32s %8s %8s %14s\n' "$from $row" "$w" "$(median "${cpu[$from $row]}")" "$(echo "scale=2; $w / $(median "${wall[$from cat_all ${row##* }]}")" | bc)"
  done
done

[ -z "$alone" ] || printf '\n%-32s %8s %8s %10s %14s %10s\n' 'alone, to /dev/null' 'wall s' 'CPU s' 'MB/s' 'MB/s of CPU' 'peak MiB'
for from in $alone; do
  for _ in $(seq "${RUNS:-3}"); do
    bytes=$(IMAGE_DIR=$dir/$from IMAGE_OUT=/dev/null /usr/bin/time -o "$dir/out" -f '%e %U %S %M' "$dir/image.test" -test.run '^TestImageDirectory$' |
      sed -n 's/^image of \([0-9]*\) bytes$/\1/p')
    read -r w u s rss <"$dir/out"
    awk -v name="$from" -v w="$w" -v c="$(echo "$u + $s" | bc)" -v b="$bytes" -v m="$rss" \
      'BEGIN { printf "%-32s %8.2f %8.2f %10.0f %14.0f %10.0f\n", name, w, c, b / w / 1e6, b / c / 1e6, m / 1024 }'
  done
done
if [ -n "$figures" ]; then
  echo
  "$dir/image.test" -test.run '^$' -test.bench 'LayoutMillion|StreamMillion' -test.benchtime 3x | grep ^Benchmark
  go test -run '^$' -bench 'PlanMillion|PlanLarge' -benchtime 1x ./archive/pack | grep ^Benchmark
fi
