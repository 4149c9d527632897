# What every page is made of. A controller defines `rows` and calls `page`.

money() {
  printf '%d.%02d' "$(($1 / 100))" "$(($1 % 100))"
}

page() {
  view="app/views/$1/index.html"
  sed -n '1,/{{rows}}/p' "$view" | sed -e '/{{rows}}/d' -e "s/{{title}}/$2/"
  rows
  sed '1,/{{rows}}/d' "$view"
}
