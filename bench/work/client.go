package work

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/daybook-go/daybook/bench/client"
)

// Client is the other side of the HTTP work, in a process of its own: the
// program calls it when it is run with the arguments "client" and a role. It
// reads its order and writes its result as JSON.
func Client(ctx context.Context, role string, in io.Reader, out io.Writer) error {
	orders, results := json.NewDecoder(in), json.NewEncoder(out)
	switch role {
	case "send":
		var order client.Appends
		if err := orders.Decode(&order); err != nil {
			return err
		}
		answers, err := client.Send(ctx, order)
		if err != nil {
			return err
		}
		return results.Encode(answers)
	case "tail":
		var order client.Tail
		if err := orders.Decode(&order); err != nil {
			return err
		}
		seen, err := client.Follow(ctx, order, func() error { return results.Encode("ready") })
		if err != nil {
			return err
		}
		return results.Encode(seen)
	default:
		return fmt.Errorf("no client is called %q", role)
	}
}
