# expect TEXT: the page in $out holds it. refuse TEXT: it does not.
expect() {
  case $out in
    *"$1"*) ;;
    *) echo "expected: $1"; echo "found: $out"; exit 1 ;;
  esac
}

refuse() {
  case $out in
    *"$1"*) echo "not expected: $1"; exit 1 ;;
    *) ;;
  esac
}
