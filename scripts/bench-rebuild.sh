#!/bin/bash
# Makes a lost database again from the images of 600 discs with 2 million files, and says how long that took and how much memory. DISCS
# asks for fewer discs; KEEP=1 leaves the images in DIR for another run.
set -euo pipefail
cd "$(dirname "$0")/.."

discs=${DISCS:-600}
dir=${DIR:-$(mktemp -d)}
trap '[ -n "${KEEP:-}" ] || rm -rf "$dir"; rm -rf "$dir/data" "$dir/odarchive"' EXIT
mkdir -p "$dir/images"

if [ -z "$(ls "$dir/images")" ]; then
	echo "making the images of $discs discs in $dir/images"
	REBUILD_FORGE="$dir/images" REBUILD_DISCS="$discs" go test ./internal/rebuild -run 'TestForge$' -count=1 -timeout 60m >/dev/null
fi
du -sh "$dir/images"
go build -o "$dir/odarchive" ./cmd/odarchive

# All bytes that a rebuild may read lie in the page cache or don't, as the machine has it: run it twice to compare.
rm -rf "$dir/data"
/usr/bin/env time -f 'rebuild: %e s wall, %U s user and %S s system (PostgreSQL not counted), %M KiB at most' \
	"$dir/odarchive" rebuild --quiet --data "$dir/data" "$dir/images" >"$dir/said"
head -1 "$dir/said"
grep -c ': whole$' "$dir/said" | sed 's/$/ archives are whole/'
rm -f "$dir/said"
