// openapi-generator's typescript-fetch client: open a ticket, read it, read a 400, read a later
// version's.
import { Configuration, ErrorBodyFromJSON, ResponseError, SupportTicketsApi } from "./fetch-client";

declare const process: { env: Record<string, string> };

function connect(basePath: string) {
  return new SupportTicketsApi(new Configuration({ basePath, accessToken: process.env.API_KEY }));
}

async function main() {
  const api = connect(process.env.BASE_URL);
  const receipt = await api.createTicket({
    idempotencyKey: "generated",
    ticketRequest: {
      type: "billing",
      replyAddress: "ada@example.com",
      message: "Charged twice.",
      requestIds: ["req_1"],
      context: { model: "m-1", attempt: 1795514461, retried: true, trace: null },
    },
  });
  const ticket = await api.getTicket({ id: receipt.id });
  const page = await api.listTickets({ perPage: 1 });
  const wrong = { type: "x", replyAddress: "ada@example", message: "x" };
  const failure: unknown = await api.createTicket({ ticketRequest: wrong }).catch((error) => error);
  if (!(failure instanceof ResponseError)) throw failure;
  const error = ErrorBodyFromJSON(await failure.response.json());
  const later = await connect(process.env.LATER_URL).getTicket({ id: receipt.id });
  console.log(
    JSON.stringify({
      receipt: [receipt.id, receipt.status, receipt.createdAt.getUTCFullYear()],
      read: [ticket.id, ticket.state, ticket.context, ticket.requestIds],
      listed: page.tickets.map((row) => row.id),
      error: [error.code, error.details?.[0].field, error.details?.[0].message],
      later: [later.state, later.status],
    }),
  );
}

void main();
