#!/usr/bin/env bash
# Times making an image of 100,000 files of 4 KiB in 100 folders, and of 20 files of 200 MB, with a warm cache, beside genisoimage -udf,
# xorriso and cat, RUNS times each in turn (default 3), and prints the medians of wall and CPU seconds. DIR is where the files are made
# (10 GB free; default: a temporary folder). SETS chooses among small and large.
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
sets=${SETS:-small large}
for from in $sets; do
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
printf '%-32s %8s %8s %14s\n' what 'wall s' 'CPU s' 'wall : cat'
for from in $sets; do
  for row in 'cat_all file' 'ours file' 'genisoimage_udf file' 'xorriso_rr file' 'cat_all null' 'ours null'; do
    w=$(median "${wall[$from $row]}")
    printf '%-32s %8s %8s %14s\n' "$from $row" "$w" "$(median "${cpu[$from $row]}")" "$(echo "scale=2; $w / $(median "${wall[$from cat_all ${row##* }]}")" | bc)"
  done
done
