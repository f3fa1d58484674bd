"""openapi-python-client's: open a ticket, read it, read a 400, read a later version's."""

import json
import os

from ctxfy_client import AuthenticatedClient
from ctxfy_client.api.support_tickets import create_ticket, get_ticket, list_tickets
from ctxfy_client.models import (
    ErrorBody,
    Ticket,
    TicketReceipt,
    TicketRequest,
    TicketRequestContext,
)


def connect(url):
    return AuthenticatedClient(base_url=url, token=os.environ["API_KEY"])


client = connect(os.environ["BASE_URL"])
new = TicketRequest(
    type_="billing",
    reply_address="ada@example.com",
    message="Charged twice.",
    request_ids=["req_1"],
    context=TicketRequestContext.from_dict(
        {"model": "m-1", "attempt": 1795514461, "retried": True, "trace": None}
    ),
)
receipt = create_ticket.sync(client=client, body=new, idempotency_key="generated")
assert isinstance(receipt, TicketReceipt)
ticket = get_ticket.sync(receipt.id, client=client)
assert isinstance(ticket, Ticket)
rows = list_tickets.sync(client=client, per_page=1).tickets
wrong = TicketRequest(type_="x", reply_address="ada@example", message="x")
error = create_ticket.sync(client=client, body=wrong)
assert isinstance(error, ErrorBody)
later = get_ticket.sync(receipt.id, client=connect(os.environ["LATER_URL"]))
print(
    json.dumps(
        {
            "receipt": [receipt.id, receipt.status, receipt.created_at.year],
            "read": [ticket.id, ticket.state, ticket.context.to_dict(), ticket.request_ids],
            "listed": [row.id for row in rows],
            "error": [error.code, error.details[0].field, error.details[0].message],
            "later": [later.state, later.status],
        }
    )
)
