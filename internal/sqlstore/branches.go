package sqlstore

import "github.com/daybook-go/daybook"

// Branch is a part of a filter that one index can find.
type Branch struct {
	By   Key
	Text string             // what the key is
	Item *daybook.QueryItem // of the query, that it is a part of; nil: of none
}

// Key is what an index finds records by.
type Key int

// What records are found by.
const (
	ByTag Key = iota
	ByType
	ByStreamType
	ByPartition
)

// MaxBranches is how many indexes are looked up side by side for one query; one
// of more parts walks the log.
const MaxBranches = 64

// BranchesOf returns parts of a filter that together select what it selects;
// none where it selects everything, or one part of it does, or where there are
// more than MaxBranches.
func BranchesOf(f *daybook.Filter) []Branch {
	found := branchesOf(f)
	if len(found) > MaxBranches {
		return nil
	}
	return found
}

func branchesOf(f *daybook.Filter) []Branch {
	var found []Branch
	for i := range f.Query.Items {
		item := &f.Query.Items[i]
		switch {
		case len(item.Tags) > 0:
			found = append(found, Branch{ByTag, item.Tags[0], item})
		case len(item.Types) > 0:
			for _, t := range item.Types {
				found = append(found, Branch{ByType, t, item})
			}
		default:
			return nil
		}
	}
	if found != nil {
		return found
	}
	for _, t := range f.StreamTypes {
		found = append(found, Branch{By: ByStreamType, Text: t})
	}
	if found != nil {
		return found
	}
	for _, p := range f.Partitions {
		if p == "" { // most often of all, so that no index tells them apart
			return nil
		}
		found = append(found, Branch{By: ByPartition, Text: p})
	}
	return found
}
