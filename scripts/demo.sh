#!/usr/bin/env bash
# The main job from end to end on this machine: archives a folder onto discs in a simulated 600-slot jukebox, restores it to
# another folder and compares both. Everything lives in one data folder.
#
#   DIR=/some/folder   archive that instead of this checkout and some generated large files
#   KEEP=1             leave the system running afterwards
#   DEMO=/some/folder  data folder (default ./demo)
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/bin
demo=${DEMO:-$PWD/demo}
started=$SECONDS

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

stop() { # stop NAME: ends a process that an earlier or this run has started, and waits for it
  local file=$demo/run/$1.pid pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  if kill -0 "$pid" 2>/dev/null && [ "$(readlink "/proc/$pid/exe")" = "$bin/$1" ]; then
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  fi
  rm -f "$file"
}
stop_all() { stop agent; stop jukebox; stop controller; }

start() { # start NAME ARGUMENTS…
  local name=$1
  shift
  "$bin/$name" "$@" >>"$demo/$name.log" 2>&1 & # nothing of ours, or who reads it would wait as long as they run
  echo $! >"$demo/run/$name.pid"
}

await() { # await WHAT COMMAND…: until the command succeeds
  local what=$1 deadline=$((SECONDS + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $deadline ]; then
      echo "demo: $what did not come up within a minute; the logs in $demo say why:" >&2
      tail -n 5 "$demo"/*.log >&2
      exit 1
    fi
    sleep 0.1
  done
}

if [ -e "$demo" ]; then
  [ -f "$demo/.odarchive-demo" ] || { echo "demo: $demo exists and is not an earlier demo: set DEMO to another folder" >&2; exit 1; }
  stop_all
  chmod -R u+w "$demo"
  rm -rf "$demo"
fi
mkdir -p "$demo/run"
touch "$demo/.odarchive-demo"

finish() {
  code=$?
  trap - EXIT INT TERM
  if [ $code -ne 0 ] || [ -z "${KEEP:-}" ]; then stop_all; fi
  exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

# A unix socket's path is at most 107 bytes long.
[ ${#demo} -le 80 ] || { echo "demo: the path of $demo is too long for the sockets in it: set DEMO to a shorter one" >&2; exit 1; }

if [ -n "${DIR:-}" ]; then
  source=$DIR
else
  source=$demo/source
  say "Making something to archive: this checkout and some large files"
  mkdir -p "$source/checkout" "$source/large"
  tar -C . --exclude=./demo --exclude=./bin --exclude=./.git -cf - . | tar -C "$source/checkout" -xf -
  for n in 1 2 3; do head -c 45000000 /dev/urandom >"$source/large/film-$n.bin"; done
  cp "$source/large/film-1.bin" "$source/large/the same film again.bin"
  ln -s film-1.bin "$source/large/link to film 1"
fi

# Discs so small that several are needed: a sixth of what is allocated, and at least 32 MiB.
allocated=$(du -s --block-size=2048 "$source" | cut -f1)
sectors=$((allocated / 6 > 16384 ? allocated / 6 : 16384))

say "Starting a jukebox of 600 slots and 4 drives, the controller with its own PostgreSQL, and an agent"
start jukebox --dir "$demo/jukebox" --medium-sectors $sectors --speed 100
start controller --data "$demo/controller" --staging-reserve 100000000
{
  cat <<TOML
name = "burner"
library = "demo"
controller = "unix://$demo/controller/controller.sock"
data = "$demo/agent"

[robot]
kind = "pioneer"
port = "$demo/jukebox/line"
model = "CAC-V3000"
units = 2
speed = 100.0
TOML
  for n in 1 2 3 4; do printf '\n[[drive]]\nnumber = %d\nkind = "file"\npath = "%s/jukebox/drives/%d"\n' $n "$demo" $n; done
} >"$demo/agent.toml"
export ODARCHIVE_CONTROLLER=unix://$demo/controller/controller.sock
od=$bin/odarchive
await "the controller" "$od" vaults
await "the jukebox" test -e "$demo/jukebox/control.sock"
start agent --config "$demo/agent.toml"
online() { "$od" library --json | grep -q '"online":true' && "$od" library elements --json | grep -q '"kind":"ELEMENT_KIND_SLOT"'; }
await "the agent" online
"$od" library stock --slots 1-600 --medium BD-R --capacity $sectors
"$od" library

say "Archiving $source and waiting until it is safe on verified discs"
"$od" put "$source" --name demo --wait
archive=$("$od" archives --json | sed 's/.*"id":"\([0-9a-f-]*\)".*/\1/')

say "The discs that carry it, as any program reads them ($demo/jukebox/discs)"
"$od" discs --state good
if command -v 7z >/dev/null; then
  disc=$("$od" discs --state good --json | sed 's/.*"label":"\([0-9]*\)".*/\1/')
  7z l -ba "$demo/jukebox/discs/$disc/image.iso" | sed -n '1,12p'
fi

say "Restoring it to $demo/restored and comparing every byte and all metadata"
"$od" get "$archive" --to "$demo/restored"
"$od" compare "$source" "$demo/restored"

say "What happened"
"$od" stats
echo "the demo took $((SECONDS - started)) seconds"

if [ -n "${KEEP:-}" ]; then
  cat <<TXT

The system goes on running. To try next:
  export ODARCHIVE_CONTROLLER=$ODARCHIVE_CONTROLLER
  bin/odarchive ls $archive --recursive
  bin/odarchive scrub --wait                        read every disc again
  bin/jukebox ctl --dir $demo/jukebox swap 1 2     swap two discs behind the robot's back, then scrub again:
                                                    one is not where it should be, and that is said
  bin/odarchive library alerts                      what somebody should do; here, look and say what is there:
  bin/odarchive library set-element slot 1 full --disc 0002
  bin/odarchive library set-element slot 2 full --disc 0001
  bin/odarchive scrub 0001 --wait                   it has been found, and is good
It stops with: kill \$(cat $demo/run/*.pid)
TXT
else
  echo "Everything has been stopped; the data folder $demo may be deleted. KEEP=1 make demo leaves the system running."
fi
