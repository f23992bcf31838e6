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

# watch PID says what a process and the PostgreSQL under it have needed until it ends. CPU time is all of both; memory is the most that the process had
# resident, and the most that PostgreSQL's processes had together, with what they share counted once.
watch() {
	local mine own=0 most=0 sum pids
	while kill -0 "$1" 2>/dev/null; do
		mine=$(awk '/^VmHWM/ { print $2 }' "/proc/$1/status" 2>/dev/null || true)
		[ -z "$mine" ] || own=$mine
		pids=$(pgrep -f "^postgres.*$dir/data/postgres|^/.*postgres -D $dir/data/postgres" || true)
		for p in $pids; do pids+=" $(pgrep -P "$p" || true)"; done
		sum=0
		for p in $pids; do
			sum=$((sum + $(awk '/^Pss:/ { print $2 }' "/proc/$p/smaps_rollup" 2>/dev/null || echo 0) + 0))
		done
		[ "$sum" -le "$most" ] || most=$sum
		sleep 1
	done
	echo "memory: $((own / 1024)) MiB at most, PostgreSQL $((most / 1024)) MiB"
}

# All bytes that a rebuild may read lie in the page cache or don't, as the machine has it: run it twice to compare.
rm -rf "$dir/data"
/usr/bin/env time -f 'rebuild: %e s wall, %U s user and %S s system with PostgreSQL' -o "$dir/took" \
	"$dir/odarchive" rebuild --quiet --data "$dir/data" "$dir/images" >"$dir/said" &
timed=$!
until child=$(pgrep -P "$timed" odarchive); do
	kill -0 "$timed" || exit 1
	sleep 0.1
done
watch "$child"
wait "$timed"
cat "$dir/took"
head -1 "$dir/said"
grep -c ': whole$' "$dir/said" | sed 's/$/ archives are whole/'
rm -f "$dir/said" "$dir/took"
