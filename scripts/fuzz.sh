#!/usr/bin/env bash
# Runs every fuzz target of the tree for FUZZTIME (default 30s) each; stops at the first that finds something. An input that reaches
# something new is kept as it is: by default Go spends up to a minute on making it smaller, and next to no time on finding others.
set -euo pipefail
cd "$(dirname "$0")/.."
git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u | while read -r folder; do
  for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$folder"/*_test.go); do
    echo "== $folder $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" -fuzzminimizetime 1x "./$folder"
  done
done
