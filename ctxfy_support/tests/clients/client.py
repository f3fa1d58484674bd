"""Open a support ticket: BASE_URL=… API_KEY=… python client.py"""

import json
import os

import requests

response = requests.post(
    f"{os.environ['BASE_URL']}/v1/support/tickets",
    headers={"Authorization": f"Bearer {os.environ['API_KEY']}"},
    json={
        "type": "billing",
        "reply_address": "ada@example.com",
        "message": "Charged twice in October.",
    },
    timeout=30,
)
if response.status_code != requests.codes.created:
    raise SystemExit(f"{response.status_code}: {response.text}")
print(json.dumps(response.json()))
