. tests/expect.sh
out=$(sh app/controllers/customers_controller.sh Aiko) || exit 1
expect "Aiko lives in Osaka."
refuse "Bruno"
