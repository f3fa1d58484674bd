// Open a support ticket: BASE_URL=… API_KEY=… node client.js

const { BASE_URL, API_KEY } = process.env;

async function createTicket(ticket) {
  const response = await fetch(`${BASE_URL}/v1/support/tickets`, {
    method: "POST",
    headers: {
      "Authorization": `Bearer ${API_KEY}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify(ticket),
    signal: AbortSignal.timeout(30_000),
  });
  if (response.status !== 201) {
    throw new Error(`${response.status}: ${await response.text()}`);
  }
  return response.json();
}

createTicket({
  type: "billing",
  reply_address: "ada@example.com",
  message: "Charged twice in October.",
}).then((ticket) => console.log(JSON.stringify(ticket)));
