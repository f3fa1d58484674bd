// openapi-typescript's types with openapi-fetch: open a ticket, read it, read a 400, read a later
// version's.
import createClient from "openapi-fetch";
import type { components, paths } from "./paths";

declare const process: { env: Record<string, string> };

type TicketRequest = components["schemas"]["TicketRequest"];

function connect(baseUrl: string) {
  const headers = { Authorization: `Bearer ${process.env.API_KEY}` };
  return createClient<paths>({ baseUrl, headers });
}

async function main() {
  const client = connect(process.env.BASE_URL);
  const body: TicketRequest = {
    type: "billing",
    reply_address: "ada@example.com",
    message: "Charged twice.",
    request_ids: ["req_1"],
    context: { model: "m-1", attempt: 1795514461, retried: true, trace: null },
  };
  // @ts-expect-error: nothing nested.
  body.context!.nested = {};
  delete body.context!.nested;
  const header = { "Idempotency-Key": "generated" };
  const { data: receipt } = await client.POST("/v1/support/tickets", { params: { header }, body });
  const path = { id: receipt!.id };
  const address = "/v1/support/tickets/{id}";
  const { data: ticket } = await client.GET(address, { params: { path } });
  const query = { per_page: 1 };
  const { data: page } = await client.GET("/v1/support/tickets", { params: { query } });
  const { error } = await client.POST("/v1/support/tickets", {
    body: { type: "x", reply_address: "ada@example", message: "x" },
  });
  if (!error || !("details" in error)) throw new Error("no 400");
  const { data: later } = await connect(process.env.LATER_URL).GET(address, { params: { path } });
  console.log(
    JSON.stringify({
      receipt: [receipt!.id, receipt!.status, new Date(receipt!.created_at).getUTCFullYear()],
      read: [ticket!.id, ticket!.state, ticket!.context, ticket!.request_ids],
      listed: page!.tickets.map((row) => row.id),
      error: [error.code, error.details?.[0].field, error.details?.[0].message],
      later: [later!.state, later!.status],
    }),
  );
}

void main();
