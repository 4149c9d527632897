for view in app/views/*/index.html; do
  grep -q '/css/shared.css' "$view" || { echo "$view has no style"; exit 1; }
done
grep -q '^a {' public/css/shared.css
