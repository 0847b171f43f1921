package cosmos_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// itemOf is an item as these tests write them.
func itemOf(partition, id string, n int) string {
	return fmt.Sprintf(`{"PartitionId":%q,"id":%q,"n":%d}`, partition, id, n)
}

func TestTheDoubleAnswersForItemsAsAnotherServerDoes(t *testing.T) {
	compareBoth(t, []exchange{
		{name: "create", ask: write("create", "p", "a", itemOf("p", "a", 1), anyETag), want: "201 " + itemOf("p", "a", 1)},
		{name: "create again", ask: write("create", "p", "a", itemOf("p", "a", 2), anyETag), want: "409"},
		{name: "the same id in another partition", ask: write("create", "q", "a", itemOf("q", "a", 3), anyETag), want: "201 " + itemOf("q", "a", 3)},
		{name: "read", ask: read("p", "a"), want: "200 " + itemOf("p", "a", 1)},
		{name: "read the one of the other partition", ask: read("q", "a"), want: "200 " + itemOf("q", "a", 3)},
		{name: "read where it is not", ask: read("r", "a"), want: "404",
			server: "500", fault: "it looks into an item that is not there; [rest] get-a-document: 404"},

		{name: "replace", ask: write("replace", "p", "a", itemOf("p", "a", 4), anyETag), want: "200 " + itemOf("p", "a", 4)},
		{name: "replace what is as it was read", ask: write("replace", "p", "a", itemOf("p", "a", 5), thisETag), want: "200 " + itemOf("p", "a", 5)},
		{name: "replace what has changed", ask: write("replace", "p", "a", itemOf("p", "a", 6), staleETag), want: "412"},
		{name: "read behind what was refused", ask: read("p", "a"), want: "200 " + itemOf("p", "a", 5)},
		{name: "replace what is not there", ask: write("replace", "p", "b", itemOf("p", "b", 1), anyETag), want: "404"},

		{name: "upsert what is not there", ask: write("upsert", "p", "b", itemOf("p", "b", 1), anyETag), want: "201 " + itemOf("p", "b", 1)},
		{name: "upsert what is there", ask: write("upsert", "p", "b", itemOf("p", "b", 2), anyETag), want: "200 " + itemOf("p", "b", 2)},
		{name: "upsert what is as it was read", ask: write("upsert", "p", "b", itemOf("p", "b", 3), thisETag), want: "200 " + itemOf("p", "b", 3)},
		{name: "upsert what has changed", ask: write("upsert", "p", "b", itemOf("p", "b", 4), staleETag), want: "412"},

		{name: "delete what has changed", ask: remove("p", "b", staleETag), want: "412"},
		{name: "delete what is as it was read", ask: remove("p", "b", thisETag), want: "204"},
		{name: "delete what is not there", ask: remove("p", "b", anyETag), want: "404"},
		{name: "read what was deleted", ask: read("p", "b"), want: "404",
			server: "500", fault: "as above"},
		{name: "create what was deleted", ask: write("create", "p", "b", itemOf("p", "b", 5), anyETag), want: "201 " + itemOf("p", "b", 5)},
		{name: "the other partition is as it was", ask: read("q", "a"), want: "200 " + itemOf("q", "a", 3)},
	})
}

func TestTheDoubleRefusesItemsAsAnotherServerDoes(t *testing.T) {
	long := strings.Repeat("x", 1024)
	large := fmt.Sprintf(`{"id":"large","PartitionId":"p","text":"%s"}`, strings.Repeat("x", 2<<20))
	compareBoth(t, []exchange{
		{name: "without an id", ask: write("create", "p", "", `{"PartitionId":"p"}`, anyETag), want: "400"},
		{name: "no JSON", ask: write("create", "p", "", `{"id":`, anyETag), want: "400",
			server: "500", fault: "[rest] create-a-document: 400, the JSON body is invalid"},
		{name: "of another partition", ask: write("create", "p", "a", itemOf("q", "a", 1), anyETag), want: "400",
			server: "201 " + itemOf("q", "a", 1), fault: "it does not look at the header; [docs] troubleshoot-bad-request: 400 with 1001"},
		{name: "an id that cannot stand in a URL", ask: write("create", "p", "a/b", itemOf("p", "a/b", 1), anyETag), want: "400",
			server: "201 " + itemOf("p", "a/b", 1), fault: "it knows no limits; [rest] documents: no / in an id"},
		{name: "an id that is too long", ask: write("create", "p", long, itemOf("p", long, 1), anyETag), want: "400",
			server: "201 an item", fault: "it knows no limits; [docs] concepts-limits: 1,023 bytes"},
		{name: "an item that is too large", ask: write("create", "p", "large", large, anyETag), want: "413",
			server: "201 an item", fault: "it knows no limits; [docs] concepts-limits: 2 MB"},
		{name: "without a partition", want: "400",
			ask:    with(map[string]string{"x-ms-documentdb-partitionkey": ""}, write("create", "p", "none", itemOf("p", "none", 1), anyETag)),
			server: "201 " + itemOf("p", "none", 1), fault: "it does not look at the header; [rest] common-cosmosdb-rest-request-headers: it is required"},
		{name: "a container that is not there", want: "404", server: "500", fault: "[rest] http-status-codes-for-cosmosdb: 404", ask: func(ctx context.Context, p *peer) string {
			container, err := p.database.NewContainer("missing")
			if err != nil {
				return err.Error()
			}
			other := *p
			other.container = container
			return write("create", "p", "a", itemOf("p", "a", 1), anyETag)(ctx, &other)
		}},
		{name: "a container that is there", want: "409", ask: func(ctx context.Context, p *peer) string {
			return created(p.database.CreateContainer(ctx, azcosmos.ContainerProperties{ID: "items", PartitionKeyDefinition: byPartitionID}, nil))
		}},
		{name: "a container in a database that is not there", want: "404", ask: func(ctx context.Context, p *peer) string {
			database, err := p.client.NewDatabase("missing")
			if err != nil {
				return err.Error()
			}
			return created(database.CreateContainer(ctx, azcosmos.ContainerProperties{ID: "items", PartitionKeyDefinition: byPartitionID}, nil))
		}},
		{name: "a database that is there", want: "409", ask: func(ctx context.Context, p *peer) string {
			_, err := p.client.CreateDatabase(ctx, azcosmos.DatabaseProperties{ID: p.name}, nil)
			if err != nil {
				return failure(err)
			}
			return "201"
		}},
	})
}

// created says what came of making a container.
func created(r azcosmos.ContainerResponse, err error) string {
	if err != nil {
		return failure(err)
	}
	return fmt.Sprint(r.RawResponse.StatusCode)
}

func TestTheDoubleKeepsValuesAsAnotherServerDoes(t *testing.T) {
	keep := func(value string) ask {
		return write("upsert", "p", "v", fmt.Sprintf(`{"PartitionId":"p","id":"v","v":%s}`, value), anyETag)
	}
	kept := func(status int, value string) string {
		return fmt.Sprintf(`%d {"PartitionId":"p","id":"v","v":%s}`, status, value)
	}
	compareBoth(t, []exchange{
		{name: "text", ask: keep(`"grün \u0000 \ud83d\ude00 \"\\/"`), want: kept(201, "\"grün \\u0000 😀 \\\"\\\\/\"")},
		{name: "a number beyond what a double holds", ask: keep("9007199254740993"), want: kept(200, "9007199254740992")},
		{name: "numbers in other ways", ask: keep("[1.0,1e2,-0.5,1e21]"), want: kept(200, "[1,100,-0.5,1e+21]")},
		{name: "what holds others", ask: keep(`{"b":[],"a":{"n":null,"t":true}}`), want: kept(200, `{"a":{"n":null,"t":true},"b":[]}`)},
		{name: "null", ask: keep("null"), want: kept(200, "null")},
		{name: "read", ask: read("p", "v"), want: kept(200, "null")},
	})
}

func TestTheDoublePatchesAsAnotherServerDoes(t *testing.T) {
	set := func(path string, v any) func(*azcosmos.PatchOperations) {
		return func(o *azcosmos.PatchOperations) { o.AppendSet(path, v) }
	}
	add := func(path string, v any) func(*azcosmos.PatchOperations) {
		return func(o *azcosmos.PatchOperations) { o.AppendAdd(path, v) }
	}
	replace := func(path string, v any) func(*azcosmos.PatchOperations) {
		return func(o *azcosmos.PatchOperations) { o.AppendReplace(path, v) }
	}
	drop := func(path string) func(*azcosmos.PatchOperations) {
		return func(o *azcosmos.PatchOperations) { o.AppendRemove(path) }
	}
	more := func(path string, by int64) func(*azcosmos.PatchOperations) {
		return func(o *azcosmos.PatchOperations) { o.AppendIncrement(path, by) }
	}
	var eleven []func(*azcosmos.PatchOperations)
	for range 11 {
		eleven = append(eleven, more("/n", 1))
	}
	item := func(rest string) string { return `200 {"PartitionId":"p",` + rest + `}` }
	compareBoth(t, []exchange{
		{name: "create", ask: write("create", "p", "a", itemOf("p", "a", 1), anyETag), want: "201 " + itemOf("p", "a", 1)},
		{name: "add an object", ask: patchBy("p", "a", anyETag, add("/o", map[string]int{"x": 1})), want: item(`"id":"a","n":1,"o":{"x":1}`)},
		{name: "set inside it, what is as it was read", ask: patchBy("p", "a", thisETag, set("/o/y", "2"), more("/n", 2)), want: item(`"id":"a","n":3,"o":{"x":1,"y":"2"}`)},
		{name: "what has changed", ask: patchBy("p", "a", staleETag, set("/o/y", "3")), want: "412"},
		{name: "replace and remove", ask: patchBy("p", "a", anyETag, replace("/o/y", "4"), drop("/o/x")), want: item(`"id":"a","n":3,"o":{"y":"4"}`)},
		{name: "a new number", ask: patchBy("p", "a", anyETag, more("/m", 5)), want: item(`"id":"a","m":5,"n":3,"o":{"y":"4"}`)},
		{name: "replace what is not there", ask: patchBy("p", "a", anyETag, replace("/none", 1)), want: "400"},
		{name: "remove what is not there", ask: patchBy("p", "a", anyETag, drop("/none")), want: "400"},
		{name: "one that is right, and one that is not", ask: patchBy("p", "a", anyETag, set("/n", 9), drop("/none")), want: "400"},
		{name: "what the service sets", ask: patchBy("p", "a", anyETag, set("/_ts", 1)), want: "400"},
		{name: "the id", ask: patchBy("p", "a", anyETag, set("/id", "b")), want: "400"},
		{name: "the partition", ask: patchBy("p", "a", anyETag, set("/PartitionId", "q")), want: "400"},
		{name: "eleven operations", ask: patchBy("p", "a", anyETag, eleven...), want: "400"},
		{name: "an item that is not there", ask: patchBy("p", "b", anyETag, set("/n", 1)), want: "404"},
		{name: "read", ask: read("p", "a"), want: item(`"id":"a","m":5,"n":3,"o":{"y":"4"}`)},
		{name: "set below what is not there", ask: patchBy("p", "a", anyETag, set("/none/z", 1)), want: "400",
			server: item(`"id":"a","m":5,"n":3,"o":{"y":"4"},"z":1`), fault: "it sets it elsewhere; [docs] partial-document-update: only the target path changes"},
	})
}

func TestTheDoubleTellsOfAContainerAsAnotherServerDoes(t *testing.T) {
	compareBoth(t, []exchange{
		{name: "create", ask: write("create", "p", "a", itemOf("p", "a", 1), anyETag), want: "201 " + itemOf("p", "a", 1)},
		{name: "its partition key", want: "200 [/PartitionId] Hash", ask: func(ctx context.Context, p *peer) string {
			r, err := p.container.Read(ctx, nil)
			if err != nil {
				return failure(err)
			}
			key := r.ContainerProperties.PartitionKeyDefinition
			return fmt.Sprint(r.RawResponse.StatusCode, " ", key.Paths, " ", key.Kind)
		}},
		{name: "its ranges", want: "some", ask: func(ctx context.Context, p *peer) string {
			ranges, err := p.container.ReadFeedRanges(ctx, nil)
			if err != nil && strings.Contains(err.Error(), "cannot unmarshal number") {
				return "a number"
			}
			if err != nil {
				return failure(err)
			}
			if len(ranges) == 0 {
				return "none"
			}
			return "some"
		}, server: "a number", fault: "the id of a range is one; [rest] get-partition-key-ranges: text"},
	})
}
