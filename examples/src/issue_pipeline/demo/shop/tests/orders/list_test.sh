. tests/expect.sh
out=$(sh app/controllers/orders_controller.sh) || exit 1
expect "<h1>Orders</h1>"
expect "<tr><td>1001</td><td>Aiko</td><td>12.50</td></tr>"
expect "<tr><td>1002</td><td>Bruno</td><td>3.00</td></tr>"
refuse "{{"
