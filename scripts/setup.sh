#!/usr/bin/env bash
# Installs what this machine lacks to build, try and test odarchive: the server binaries of PostgreSQL (no cluster is made
# and no server started) and the programs that judge our discs. Does nothing where everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v go >/dev/null || { echo "setup: no Go on this machine: install Go $(sed -n 's/^go //p' go.mod) or newer from https://go.dev/dl/" >&2; exit 1; }

PATH=$PATH:/usr/sbin:/sbin # of administrators, and of tests
missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); } # need PROGRAM PACKAGE
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
need cc gcc
need zstd zstd
need 7z p7zip-full
need xorriso xorriso
need cdrskin cdrskin
need python3 python3
need isoinfo genisoimage
need udfinfo udftools
need udfdump udfclient
need bsdtar libarchive-tools
need dvdisaster dvdisaster
need grub-fstest grub-common
need linux.uml user-mode-linux
need modprobe kmod
need busybox busybox-static
need bc bc
[ -x /usr/bin/time ] || missing+=(time)
[ -e /usr/include/udfread/udfread.h ] || missing+=(libudfread-dev)
/usr/bin/python3 -c 'import pycdlib' 2>/dev/null || missing+=(python3-pycdlib)
need blkid util-linux
need tgtd tgt
need setpriv util-linux

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "setup: install what your system calls these Debian packages, then run this again: ${missing[*]}" >&2
    exit 1
  fi
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "setup: not root and no sudo; as root, run: apt-get install --no-install-recommends ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  install() { # packages…
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >"$log" 2>&1
  }
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  fail() {
    tail -n 20 "$log" >&2
    echo "setup: could not install ${missing[*]}; the lines above say why" >&2
    exit 1
  }
  "${as_root[@]}" apt-get update -q >"$log" 2>&1 || fail
  case " ${missing[*]} " in *" postgresql "*)
    if ! dpkg -s postgresql-common >/dev/null 2>&1; then
      install postgresql-common || fail
      # The package would make and start a cluster of its own; the controller brings its own.
      "${as_root[@]}" sed -i 's/^#\?create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    fi ;;
  esac
  install "${missing[@]}" || fail
fi

go mod download
go -C tools mod download
