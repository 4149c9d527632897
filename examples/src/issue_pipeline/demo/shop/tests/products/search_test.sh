. tests/expect.sh
out=$(sh app/controllers/products_controller.sh lamp) || exit 1
expect "<li>Desk lamp for 12.50</li>"
refuse "Notebook"
