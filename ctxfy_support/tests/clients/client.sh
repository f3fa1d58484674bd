#!/bin/sh
# Open a support ticket: BASE_URL=… API_KEY=… sh client.sh
set -eu

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

status=$(
    curl --silent --show-error --max-time 30 --output "$answer" --write-out '%{http_code}' \
        -X POST "$BASE_URL/v1/support/tickets" \
        -H "Content-Type: application/json" \
        -H "Authorization: Bearer $API_KEY" \
        -d '{"type": "billing", "reply_address": "ada@example.com", "message": "Charged twice in October."}'
)
cat "$answer"
test "$status" -eq 201
