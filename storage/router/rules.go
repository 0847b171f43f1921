package router

import (
	"fmt"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
)

// All stands in a Rule for every partition, or every stream type.
const All = "ALL"

// Rule sends streams to a store, by their partition and their type
// (daybook.StreamID.Type). Of the rules that fit a stream the first of these
// holds: its partition and its type; its partition and All; All and its type;
// All and All. That last one must be there.
type Rule struct {
	Partition string // exactly this one; All for any
	Type      string // exactly this one; All for any
	Store     string // the Name of a Member
}

// streams returns what stands for the streams of a rule in a configuration.
func (r Rule) streams() string { return r.Partition + "." + r.Type }

// parseStreams takes "partition.type" apart. The partition may hold dots, the
// type not: it stands behind the last one.
func parseStreams(text string) (partition, kind string, ok bool) {
	dot := strings.LastIndex(text, ".")
	if dot < 0 {
		return "", "", false
	}
	return text[:dot], text[dot+1:], true
}

// kind is a pair of a partition and a stream type, either of which may be All.
type kind struct{ partition, name string }

// table says which member each stream lies in.
type table map[kind]int

func newTable(members []Member, rules []Rule) (table, error) {
	t := table{}
	for i, rule := range rules {
		field := fmt.Sprintf("rules[%d]", i)
		index := slices.IndexFunc(members, func(m Member) bool { return m.Name == rule.Store })
		if index < 0 {
			return nil, &daybook.InvalidError{Field: field + ".store", Value: fmt.Sprintf("%q", rule.Store), Reason: "is the name of no store"}
		}
		key := kind{rule.Partition, rule.Type}
		if _, twice := t[key]; twice {
			return nil, &daybook.InvalidError{Field: field + ".streams", Value: fmt.Sprintf("%q", rule.streams()), Reason: "has two rules"}
		}
		t[key] = index
	}
	if _, ok := t[kind{All, All}]; !ok {
		return nil, &daybook.InvalidError{Field: "rules", Value: fmt.Sprintf("%d rules", len(rules)), Reason: "must have one for ALL.ALL, which holds where no other does"}
	}
	return t, nil
}

// of returns the member that a stream lies in.
func (t table) of(id daybook.StreamID) int {
	for _, key := range [...]kind{{id.Partition, id.Type()}, {id.Partition, All}, {All, id.Type()}} {
		if index, ok := t[key]; ok {
			return index
		}
	}
	return t[kind{All, All}]
}

// ofPartition returns the members that streams of a partition may lie in, in
// their order.
func (t table) ofPartition(partition string) []int {
	var all []int
	_, whole := t[kind{partition, All}]
	for key, index := range t {
		shadowed := key.partition == All && partition != All
		if shadowed {
			_, exact := t[kind{partition, key.name}]
			shadowed = whole || exact
		}
		if (key.partition == partition || key.partition == All && !shadowed) && !slices.Contains(all, index) {
			all = append(all, index)
		}
	}
	slices.Sort(all)
	return all
}

// names returns the names of members as they stand in an error: "a" and "b".
func (d *Driver) names(indexes []int) string {
	var all []string
	for _, index := range indexes {
		all = append(all, fmt.Sprintf("%q", d.members[index].Name))
	}
	return strings.Join(all, " and ")
}
