#!/bin/sh
# Runs every test: a script below tests/ that fails if something is wrong.
cd "$(dirname "$0")/.." || exit 1
failed=0
for test in tests/*/*_test.sh; do
  if sh "$test"; then
    echo "ok   $test"
  else
    echo "FAIL $test"
    failed=1
  fi
done
exit "$failed"
