# Open a support ticket: BASE_URL=… API_KEY=… ruby client.rb

require "json"
require "net/http"

uri = URI("#{ENV.fetch("BASE_URL")}/v1/support/tickets")
response = Net::HTTP.post(
  uri,
  JSON.generate(
    type: "billing",
    reply_address: "ada@example.com",
    message: "Charged twice in October."
  ),
  "Authorization" => "Bearer #{ENV.fetch("API_KEY")}",
  "Content-Type" => "application/json"
)
abort "#{response.code}: #{response.body}" unless response.is_a?(Net::HTTPCreated)
puts response.body
