// Open a support ticket: BASE_URL=… API_KEY=… go run client.go
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

type Ticket struct {
	Type         string `json:"type"`
	ReplyAddress string `json:"reply_address"`
	Message      string `json:"message"`
}

func main() {
	body, err := json.Marshal(Ticket{
		Type:         "billing",
		ReplyAddress: "ada@example.com",
		Message:      "Charged twice in October.",
	})
	if err != nil {
		log.Fatal(err)
	}
	url := os.Getenv("BASE_URL") + "/v1/support/tickets"
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("API_KEY"))
	request.Header.Set("Content-Type", "application/json")

	client := http.Client{Timeout: 30 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	if response.StatusCode != http.StatusCreated {
		log.Fatalf("%s: %s", response.Status, answer)
	}
	fmt.Println(string(answer))
}
