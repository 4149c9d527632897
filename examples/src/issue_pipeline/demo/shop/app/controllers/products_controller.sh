#!/bin/sh
# The search for products: products_controller.sh TERM
set -eu
. app/lib/page.sh

term=${1:?"what are you looking for?"}

rows() {
  grep -F -- "$term" db/seeds/products.csv | while IFS=, read -r product cents; do
    printf '      <li>%s for %s</li>\n' "$product" "$(money "$cents")"
  done
}

page products "Products"
