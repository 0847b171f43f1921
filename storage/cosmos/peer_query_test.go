package cosmos_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// values are the parameters of a query, by name.
type values map[string]any

// query asks for items, in pages of so many. Each is told by its id, or as a
// whole where the query says what it wants of it.
func query(key azcosmos.PartitionKey, page int32, text string, v values) ask {
	return func(ctx context.Context, p *peer) string {
		options := &azcosmos.QueryOptions{PageSizeHint: page}
		for name, value := range v {
			options.QueryParameters = append(options.QueryParameters, azcosmos.QueryParameter{Name: name, Value: value})
		}
		var pages []string
		for pager := p.container.NewQueryItemsPager(text, key, options); pager.More(); {
			r, err := pager.NextPage(ctx)
			if err != nil {
				return failure(err)
			}
			var items []string
			for _, raw := range r.Items {
				items = append(items, p.row(text, raw))
			}
			pages = append(pages, strings.Join(items, " "))
		}
		return strings.Join(pages, " | ")
	}
}

// row tells an item that a query has found.
func (p *peer) row(text string, raw []byte) string {
	body, err := decoded(raw)
	if err != nil {
		return fmt.Sprintf("%s, which cannot be read: %v", raw, err)
	}
	if !strings.Contains(text, "*") {
		return withoutAdded(body)
	}
	id, _ := body["id"].(string)
	if told := bare(body); told != p.put[fmt.Sprint(body["PartitionId"], " ", id)] {
		return told
	}
	return id
}

var inP, across = azcosmos.NewPartitionKeyString("p"), azcosmos.NewPartitionKey()

// queried are the items that the queries below are about.
var queried = []string{
	`{"PartitionId":"p","id":"a","k":1,"o":{"x":1},"s":"x"}`,
	`{"PartitionId":"p","id":"b","k":2,"s":"X"}`,
	`{"PartitionId":"p","id":"c","k":"2","s":"é"}`,
	`{"PartitionId":"p","id":"d","s":"xy"}`,
	`{"PartitionId":"p","id":"e","k":null}`,
	`{"PartitionId":"p","id":"f","k":true}`,
	`{"PartitionId":"p","id":"g","k":10}`,
}

func TestTheDoubleAnswersQueriesAsAnotherServerDoes(t *testing.T) {
	var exchanges []exchange
	for _, text := range queried {
		exchanges = append(exchanges, exchange{name: "create", ask: putting("p", text), want: "201"})
	}
	for _, q := range []struct {
		text string
		v    values
		page int32
		want string
	}{
		{text: "SELECT * FROM c", want: "a b c d e f g"},
		{text: "select * from c where c.k = @k", v: values{"@k": 2}, want: "b"},
		{text: "SELECT * FROM c WHERE c.k = @k", v: values{"@k": "2"}, want: "c"},
		{text: "SELECT * FROM c WHERE c.o.x = 1", want: "a"},
		{text: "SELECT * FROM c WHERE c.k > @k", v: values{"@k": 1}, want: "b g"},
		{text: "SELECT * FROM c WHERE c.k >= @k AND c.k < 10", v: values{"@k": 1}, want: "a b"},
		{text: "SELECT * FROM c WHERE c.k <= @k", v: values{"@k": 2}, want: "a b"},
		{text: "SELECT * FROM c WHERE c.s != 'x'", want: "b c d"},
		{text: "SELECT * FROM c WHERE c.s > 'X'", want: "a c d"},
		{text: "SELECT * FROM c WHERE IS_DEFINED(c.k)", want: "a b c e f g"},
		{text: "SELECT * FROM c WHERE NOT IS_DEFINED(c.k)", want: "d"},
		{text: "SELECT * FROM c WHERE NOT IS_DEFINED(c.o.x) AND c.k = 2", want: "b"},
		{text: "SELECT * FROM c WHERE STARTSWITH(c.s, 'x')", want: "a d"},
		{text: "SELECT * FROM c WHERE STARTSWITH(c.s, @s)", v: values{"@s": "X"}, want: "b"},
		{text: "SELECT * FROM c WHERE c.k IN (@one, @ten)", v: values{"@one": 1, "@ten": 10}, want: "a g"},
		{text: "SELECT * FROM c WHERE c.id IN ('d', 'none', 'b')", want: "b d"},
		{text: "SELECT * FROM c WHERE c.k = 1 OR c.k = 2 AND c.s = 'none'", want: "a"},
		{text: "SELECT * FROM c WHERE (c.k = 1 OR c.k = 2) AND c.s = 'X'", want: "b"},
		{text: "SELECT * FROM c WHERE c.none = 1", want: ""},
		{text: "SELECT * FROM c WHERE c.k > 0 ORDER BY c.k", want: "a b g"},
		{text: "SELECT * FROM c WHERE c.k > 0 ORDER BY c.k ASC", want: "a b g"},
		{text: "SELECT * FROM c WHERE c.k > 0 ORDER BY c.k DESC", want: "g b a"},
		{text: "SELECT * FROM c WHERE IS_DEFINED(c.s) ORDER BY c.s", want: "b a d c"},
		{text: "SELECT * FROM c WHERE IS_DEFINED(c.k) ORDER BY c.k", want: "e f a b g c"},
		{text: "SELECT TOP 2 * FROM c WHERE c.k > 0 ORDER BY c.k", want: "a b"},
		{text: "SELECT TOP 2 * FROM c WHERE c.k > 0 ORDER BY c.k DESC", want: "g b"},
		{text: "SELECT TOP 9 * FROM c WHERE c.k > 0 ORDER BY c.k", want: "a b g"},
		{text: "SELECT * FROM c", page: 3, want: "a b c | d e f | g"},
		{text: "SELECT * FROM c WHERE c.k > 0 ORDER BY c.k DESC", page: 2, want: "g b | a"},
		{text: "SELECT TOP 2 * FROM c WHERE c.k > 0 ORDER BY c.k", page: 1, want: "a | b"},
		{text: "SELECT TOP 3 * FROM c", page: 2, want: "a b | c"},
		{text: "SELECT * FROM c WHERE c.k > 0", page: 3, want: "a b g"},
		{text: "SELECT c.id, c.k, c.o.x FROM c WHERE c.s IN ('x', 'xy')", want: `{"id":"a","k":1,"x":1} {"id":"d"}`},
		{text: "SELECT * FROM", want: "400"},
		{text: "SELECT * FROM c WHERE c.k = = 1", want: "400"},
	} {
		exchanges = append(exchanges, exchange{name: q.text, ask: query(inP, q.page, q.text, q.v), want: q.want})
	}
	exchanges = append(exchanges,
		exchange{name: "create in another partition", ask: putting("q", `{"PartitionId":"q","id":"z","k":1}`), want: "201"},
		exchange{name: "in one partition", ask: query(inP, 0, "SELECT * FROM c WHERE c.k = 1", nil), want: "a",
			server: "a z", fault: "it looks into all; [docs] how-to-query-container: into the one that the header names"},
		exchange{name: "across partitions", ask: query(across, 0, "SELECT * FROM c WHERE c.k = 1", nil), want: "a z"},
		exchange{name: "across partitions in order", ask: query(across, 0, "SELECT * FROM c WHERE c.k = 1 ORDER BY c.k", nil), want: "400",
			server: "a z", fault: "[rest] querying-cosmosdb-resources-using-the-rest-api: the gateway cannot serve it"},
	)
	compareBoth(t, exchanges)
}

// putting creates an item that is known by its id.
func putting(partition, text string) ask {
	return func(ctx context.Context, p *peer) string {
		body, err := decoded([]byte(text))
		if err != nil {
			return err.Error()
		}
		_, err = p.container.CreateItem(ctx, azcosmos.NewPartitionKeyString(partition), []byte(text), nil)
		if err != nil {
			return failure(err)
		}
		p.put[fmt.Sprint(partition, " ", body["id"])] = withoutAdded(body)
		return "201"
	}
}
