#!/bin/sh
# The list of orders.
set -eu
. app/lib/page.sh

rows() {
  while IFS=, read -r number customer cents; do
    printf '      <tr><td>%s</td><td>%s</td><td>%s</td></tr>\n' \
      "$number" "$customer" "$(money "$cents")"
  done < db/seeds/orders.csv
}

page orders "Orders"
