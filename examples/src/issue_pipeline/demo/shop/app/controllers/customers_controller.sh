#!/bin/sh
# The page of one customer: customers_controller.sh NAME
set -eu
. app/lib/page.sh

name=${1:?"which customer?"}

rows() {
  grep "^$name," db/seeds/customers.csv | while IFS=, read -r first city; do
    printf '    <p>%s lives in %s.</p>\n' "$first" "$city"
  done
}

page customers "Customer"
