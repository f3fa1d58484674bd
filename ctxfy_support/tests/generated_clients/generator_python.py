"""openapi-generator's Python client: open a ticket, read it, read a 400, read a later version's."""

import json
import os

from openapi_client import ApiClient, Configuration, SupportTicketsApi, TicketRequest
from openapi_client.exceptions import BadRequestException


def connect(url):
    return SupportTicketsApi(ApiClient(Configuration(host=url, access_token=os.environ["API_KEY"])))


api = connect(os.environ["BASE_URL"])
new = TicketRequest(
    type="billing",
    reply_address="ada@example.com",
    message="Charged twice.",
    request_ids=["req_1"],
    context={"model": "m-1", "attempt": 1795514461, "retried": True, "trace": None},
)
receipt = api.create_ticket(new, idempotency_key="generated")
ticket = api.get_ticket(receipt.id)
rows = api.list_tickets(per_page=1).tickets
try:
    api.create_ticket(TicketRequest(type="x", reply_address="ada@example", message="x"))
except BadRequestException as exc:
    error = exc.data
later = connect(os.environ["LATER_URL"]).get_ticket(receipt.id)
print(
    json.dumps(
        {
            "receipt": [receipt.id, receipt.status, receipt.created_at.year],
            "read": [ticket.id, ticket.state, ticket.context, ticket.request_ids],
            "listed": [row.id for row in rows],
            "error": [error.code, error.details[0].var_field, error.details[0].message],
            "later": [later.state, later.status],
        }
    )
)
