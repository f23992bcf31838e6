#!/usr/bin/env bash
# Times the main paths beside standard tools, in one run, and prints ratios: put against sha256sum, cp and sync; many small files;
# build, burn and verify against a plain read; get of both against cp -r and fsync; and the peak memory of every process.
#
#   LARGE=2000   megabytes in large files      SMALL=100000   files of 4 KiB      BENCH=/some/folder   data (default ./demo-bench)
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/bin
bench=${BENCH:-$PWD/demo-bench}
large=${LARGE:-2000} small=${SMALL:-100000}
[ ${#bench} -le 80 ] || { echo "bench: the path of $bench is too long for the sockets in it: set BENCH to a shorter one" >&2; exit 1; }
[ ! -e "$bench" ] || [ -f "$bench/.odarchive-bench" ] || { echo "bench: $bench exists and is not an earlier bench" >&2; exit 1; }
[ ! -e "$bench" ] || chmod -R u+w "$bench"
rm -rf "$bench"
mkdir -p "$bench/large" "$bench/small"
touch "$bench/.odarchive-bench"

pids=()
finish() {
  code=$?
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  chmod -R u+w "$bench"
  [ $code -ne 0 ] || rm -rf "$bench"
  exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

now() { date +%s.%N; }
took() { # took NAME COMMAND…: runs it and keeps how many seconds it took in the variable NAME
  local name=$1 before
  shift
  before=$(now)
  "$@" >>"$bench/out" 2>&1
  printf -v "$name" '%s' "$(echo "$(now) - $before" | bc)"
}
ratio() { echo "scale=2; $1 / $2" | bc; }
# warm touches the memory that what is timed next will fill with cached pages. On a virtual machine whose host takes unused memory back
# the first touch costs ten times what the copy does, and who comes first would pay for both.
warm() {
  head -c $((3 * large * 1000000)) /dev/zero >"$bench/warm"
  rm "$bench/warm"
}
rate() { echo "$1 / $2" | bc; }
await() {
  local tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || { echo "bench: gave up waiting for: $*" >&2; tail -n 5 "$bench"/*.log >&2; exit 1; }
    sleep 0.1
  done
}

echo "making $large MB in large files and $small files of 4 KiB"
for n in $(seq 1 10); do head -c $((large * 100000)) /dev/urandom >"$bench/large/$n"; done
python3 - "$bench/small" "$small" <<'PY'
import os, random, sys
folder, count = sys.argv[1], int(sys.argv[2])
for n in range(count):
    d = f"{folder}/{n // 1000:03d}"
    if n % 1000 == 0:
        os.makedirs(d)
    with open(f"{d}/{n}", "wb") as f:
        f.write(random.Random(n).randbytes(4096))
PY
cat "$bench"/large/* >/dev/null # into the page cache
sync

"$bin/jukebox" --dir "$bench/jukebox" --medium-sectors 262144 --speed 0 2>>"$bench/jukebox.log" &
pids+=($!); jukebox=$!
"$bin/controller" --data "$bench/controller" --staging-reserve 100000000 2>>"$bench/controller.log" &
pids+=($!); controller=$!
{
  printf 'name = "burner"\nlibrary = "bench"\ncontroller = "unix://%s/controller/controller.sock"\ndata = "%s/agent"\n' "$bench" "$bench"
  printf '[robot]\nkind = "pioneer"\nport = "%s/jukebox/line"\nmodel = "CAC-V3000"\nunits = 2\nspeed = 100.0\n' "$bench"
  for n in 1 2 3 4; do printf '[[drive]]\nnumber = %d\nkind = "file"\npath = "%s/jukebox/drives/%d"\n' $n "$bench" $n; done
} >"$bench/agent.toml"
export ODARCHIVE_CONTROLLER=unix://$bench/controller/controller.sock
od=$bin/odarchive
await "$od" vaults
await test -e "$bench/jukebox/control.sock"
"$bin/agent" --config "$bench/agent.toml" 2>>"$bench/agent.log" &
pids+=($!); agent=$!
online() { "$od" library elements --json | grep -q '"kind":"ELEMENT_KIND_SLOT"'; }
await online
"$od" library stock --slots 1-600 --medium BD-R --capacity 262144 >/dev/null
# Without error correction of its own: what is timed is the way of the data. bench-ecc.sh times that.
"$od" vaults create bench --roots 0 >/dev/null

mkdir "$bench/copy"
peer() { # what anybody would do: hashes by two processes side by side, then a copy that is on the disk
  (cd "$bench/large" && ls | xargs -P2 -n1 sha256sum)
  cp -r "$bench/large" "$bench/copy/"
  sync -f "$bench/copy"
}
peak() { sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }
# spent prints the processor seconds that controller with its PostgreSQL, and agent have taken so far.
spent() {
  local pid
  for pid in "$controller" "$agent"; do
    python3 -c 'import os,sys
stats = []
for p in filter(str.isdigit, os.listdir("/proc")):
    try: stats.append((p, open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()))
    except OSError: pass
wanted = {sys.argv[1]}
while more := {p for p, s in stats if s[1] in wanted} - wanted: wanted |= more
print(sum(sum(map(int, s[11:15])) for p, s in stats if p in wanted) / os.sysconf("SC_CLK_TCK"))' "$pid"
  done
}
put() { # put NAME FOLDER: and keeps the peak memory of the client, in KiB
  /usr/bin/time -f %M -o "$bench/put.rss" "$od" put "$2" --vault bench --name "$1" --quiet
}

warm
took peer peer
warm
took large_put put large "$bench/large"
large_rss=$(tail -1 "$bench/put.rss")
took small_put put small "$bench/small"
small_rss=$(tail -1 "$bench/put.rss")
bytes=$((large * 1000000 + small * 4096))
took read_all sh -c "find '$bench/large' '$bench/small' -type f -print0 | xargs -0 cat >/dev/null"
archive() { "$od" archives --json | python3 -c 'import json,sys; print([a["id"] for a in json.load(sys.stdin) if a["name"] == sys.argv[1]][0])' "$1"; }
flush() { # the same folder once more: nothing to upload, and everything that waits is burned
  "$od" put "$bench/large" --vault bench --name again --quiet --wait
  local waiting
  for waiting in large small; do "$od" wait "$(archive $waiting)" --quiet; done
}
took flush flush
warm
took cp_back /usr/bin/time -f %U+%S -o "$bench/cp.cpu" sh -c "cp -r '$bench/large' '$bench/back.cp' && find '$bench/back.cp' -type f -exec sync {} +"
warm
mapfile -t before < <(spent)
took get /usr/bin/time -f '%U+%S\n%M' -o "$bench/get.rss" "$od" get "$(archive large)" --to "$bench/back" --quiet
mapfile -t after < <(spent)
"$od" compare "$bench/large" "$bench/back" >/dev/null
warm
took cp_small sh -c "cp -r '$bench/small' '$bench/back-small.cp' && find '$bench/back-small.cp' -type f -exec sync {} +"
warm
took get_small /usr/bin/time -f %M -o "$bench/get-small.rss" "$od" get "$(archive small)" --to "$bench/back-small" --quiet
"$od" compare "$bench/small" "$bench/back-small" >/dev/null

echo
printf '%-52s %10s %10s %8s\n' "what" "odarchive" "peer" "ratio"
row() { printf '%-52s %9.2fs %9.2fs %8s\n' "$1" "$2" "$3" "$(ratio "$2" "$3")"; }
row "put $large MB, against sha256sum x2, cp, sync" "$large_put" "$peer"
row "build, burn and verify all, against reading it" "$flush" "$read_all"
row "get $large MB from discs, against cp -r and fsync" "$get" "$cp_back"
row "get $small files of 4 KiB, against cp -r and fsync" "$get_small" "$cp_small"
echo "put $small files of 4 KiB: $(rate "$small" "$small_put") files/s sealed"
echo "build, burn and verify: $(rate "$bytes/1000000" "$flush") MB/s"
printf 'processor seconds of get %d MB: controller and PostgreSQL %.2f, agent %.2f, client %.2f; of cp -r and fsync %.2f\n' "$large" \
  "$(echo "${after[0]} - ${before[0]}" | bc)" "$(echo "${after[1]} - ${before[1]}" | bc)" "$(head -1 "$bench/get.rss" | bc)" "$(bc <"$bench/cp.cpu")"
printf 'peak memory in MiB:'
for p in controller agent jukebox; do printf ' %s %d' $p $(($(peak "${!p}") / 1024)); done
printf ' put(large) %d put(small) %d get(large) %d get(small) %d\n' $((large_rss / 1024)) $((small_rss / 1024)) \
  $(($(tail -1 "$bench/get.rss") / 1024)) $(($(tail -1 "$bench/get-small.rss") / 1024))
