#!/bin/bash
# Prints the scheduler's figures, and draws what an event costs as the queue grows into docs/schedule.svg.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin
go build -o bin/odarchive ./cmd/odarchive

echo "== Completion in seconds against the baselines: 600 discs, one robot, 20,000 requests, and what no plan can better"
bin/odarchive simulate --table

echo "== The planner against by disc, oldest first, on ten seeds that its constants were not chosen on: changes"
bin/odarchive simulate --table --seed 11 --seeds 10

echo "== 5,000 restores at once over 600 discs with 4 drives"
bin/odarchive simulate --workload batch --requests 5000 | tail -1

echo "== Expedited requests beside bulk retrievals that keep 4 drives busy"
bin/odarchive simulate --requests 20000 --rate 1500 --expedited 0.01 --bulk 0.99 | sed -n 2,4p

echo "== Drive time when there is always something to burn, verify or scrub"
bin/odarchive simulate --requests 200 --rate 2 --burns 2 --scrub-days 2 | grep drives:

echo "== An event with a million queued tasks over 10,000 discs and 100 drives, on one core"
# In the processor's time, over so many events that the garbage collector has run too. The queues take turns in one process, so that what else the
# machine does concerns them alike; beside it what the least store of tasks and a heap for each disc cost for an event, and what one look at one of
# so many places of 64 bytes takes, whose growth is that of cache misses.
run() { GOMAXPROCS=1 go test ./library/schedule -run '^$' -bench "$1" -benchtime "$2" | grep '^Benchmark' | sed 's/-[0-9]*\t/\t/'; }
bench=$(run 'Event|Machine' 2000000x)
turns=$(run Growth 15x)
field() { awk -v unit="$1" '{ for (i = 3; i <= NF; i++) if ($i == unit) print $(i - 1) }'; }
events=$(echo "$bench" | grep Event)
sizes=$(echo "$events" | sed 's/^BenchmarkEvent\/\([0-9]*\).*/\1/')
series=$(paste -d ' ' <(echo "$sizes") <(for n in $sizes; do echo "$turns" | field "cpu-ns/$n"; done) <(echo "$events" | field MiB) <(echo "$bench" | grep Machine | field cpu-ns/op))
echo "$series" | awk 'BEGIN { print "   tasks  µs/event    MiB  store and heap" } { printf "%8d  %8.2f  %5.0f  %8.2f\n", $1, $2 / 1000, $3, $4 / 1000 }'
echo "times as much as with 10,000: $(echo "$turns" | field times/100000) with 100,000, $(echo "$turns" | field times/1000000) with 1,000,000"
run Lookup 20000000x | awk '{ sub(/.*\//, "", $1); print "one look at one of " $1 " places of 64 bytes: " $(NF - 1) " ns" }'

# How many instructions that is: what 1 event takes off 100,001. Without the garbage collector, whose work is not an event's.
counts=
if command -v valgrind > /dev/null; then
  test=$(mktemp) && trap 'rm -f "$test"' EXIT
  go test -c -o "$test" ./library/schedule
  count() {
    GOGC=off GOMAXPROCS=1 valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null "$test" -test.run '^$' -test.bench "Event/$1\$" -test.benchtime "$2x" 2>&1 |
      awk '/I +refs/ { print $NF }' | tr -d ,
  }
  echo "   tasks  instructions/event"
  for n in 10000 100000 1000000; do
    counts+="$n $((($(count $n 100001) - $(count $n 1)) / 100000))"$'\n'
  done
  echo -n "$counts" | awk '{ printf "%8d  %18d\n", $1, $2 }'
fi

{ echo -n "$counts" | sed 's/^/instructions /'; echo "$series"; } | awk '
  function x(n) { return 60 + (log(n) / log(10) - 4) / 2 * 500 }
  function y(us) { return 230 - us / top * 200 }
  $1 == "instructions" { at[++m] = $2; ins[m] = $3; next }
  { N++; n[N] = $1; us[N] = $2 / 1000; machine[N] = $4 / 1000; if (us[N] > most) most = us[N]; if (machine[N] > most) most = machine[N] }
  END {
    top = most * 1.25
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"620\" height=\"270\" font-family=\"sans-serif\" font-size=\"11\">"
    print "<rect width=\"620\" height=\"270\" fill=\"#fff\"/><path d=\"M60 20V230H580\" fill=\"none\" stroke=\"#888\"/>"
    printf "<polyline fill=\"none\" stroke=\"#999\" stroke-dasharray=\"4\" points=\""
    for (e = 4; e <= 6; e += 0.25) printf "%.1f,%.1f ", x(10 ^ e), y(us[1] * e / 4)
    print "\"/>"
    printf "<polyline fill=\"none\" stroke=\"#1f5fa8\" points=\""
    for (i = 1; i <= N; i++) printf "%.1f,%.1f ", x(n[i]), y(us[i])
    print "\"/>"
    printf "<polyline fill=\"none\" stroke=\"#d2861e\" points=\""
    for (i = 1; i <= N; i++) printf "%.1f,%.1f ", x(n[i]), y(machine[i])
    printf "\"/><text x=\"420\" y=\"%.1f\" fill=\"#d2861e\">a store and a heap</text>\n", y(machine[N]) + 16
    if (m) {
      printf "<polyline fill=\"none\" stroke=\"#2e8b57\" points=\""
      for (i = 1; i <= m; i++) printf "%.1f,%.1f ", x(at[i]), y(us[1] * ins[i] / ins[1])
      printf "\"/><text x=\"420\" y=\"%.1f\" fill=\"#2e8b57\">instructions</text>\n", y(us[1] * ins[m] / ins[1]) + 14
    }
    for (i = 1; i <= N; i++) printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"#1f5fa8\"/><text x=\"%.1f\" y=\"%.1f\">%.1f µs</text><text x=\"%.1f\" y=\"246\">%d</text>\n", x(n[i]), y(us[i]), x(n[i]) - 14, y(us[i]) - 9, us[i], x(n[i]) - 18, n[i]
    print "<text x=\"210\" y=\"264\">queued tasks (dashed: growth with log n)</text></svg>"
  }' > docs/schedule.svg
