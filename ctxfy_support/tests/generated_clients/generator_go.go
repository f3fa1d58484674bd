// openapi-generator's Go client: open a ticket, read it, read a 400, read a later version's.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	ctxfy "example.com/ctxfy/support"
)

func connect(url string) *ctxfy.SupportTicketsAPIService {
	configuration := ctxfy.NewConfiguration()
	configuration.Servers = ctxfy.ServerConfigurations{{URL: url}}
	return ctxfy.NewAPIClient(configuration).SupportTicketsAPI
}

func main() {
	api := connect(os.Getenv("BASE_URL"))
	auth := context.WithValue(context.Background(), ctxfy.ContextAccessToken, os.Getenv("API_KEY"))

	ticket := ctxfy.NewTicketRequest("billing", "ada@example.com", "Charged twice.")
	ticket.SetRequestIds([]string{"req_1"})
	ticket.SetContext(map[string]interface{}{
		"model": "m-1", "attempt": 1795514461, "retried": true, "trace": nil,
	})
	receipt, _, err := api.CreateTicket(auth).TicketRequest(*ticket).IdempotencyKey("generated").Execute()
	check(err)
	read, _, err := api.GetTicket(auth, receipt.Id).Execute()
	check(err)
	page, _, err := api.ListTickets(auth).PerPage(1).Execute()
	check(err)
	listed := []string{}
	for _, row := range page.Tickets {
		listed = append(listed, row.Id)
	}

	wrong := ctxfy.NewTicketRequest("x", "ada@example", "x")
	_, _, err = api.CreateTicket(auth).TicketRequest(*wrong).Execute()
	var failure *ctxfy.GenericOpenAPIError
	if !errors.As(err, &failure) {
		log.Fatal("no error of the client's: ", err)
	}
	body := failure.Model().(ctxfy.ErrorBody)

	later, _, err := connect(os.Getenv("LATER_URL")).GetTicket(auth, receipt.Id).Execute()
	check(err)
	answer, err := json.Marshal(map[string]interface{}{
		"receipt": []interface{}{receipt.Id, receipt.Status, receipt.CreatedAt.Year()},
		"read":    []interface{}{read.Id, read.State, read.Context, read.RequestIds},
		"listed":  listed,
		"error":   []interface{}{body.Code, body.Details[0].Field, body.Details[0].Message},
		"later":   []interface{}{later.State, later.Status},
	})
	check(err)
	fmt.Println(string(answer))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
