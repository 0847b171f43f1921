package daybook_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
)

func TestACloneEqualsItsRecordAndSharesNothingThatCanBeWritten(t *testing.T) {
	build := func() daybook.Record {
		return daybook.Record{
			Event: daybook.Event{
				ID: daybook.ID{1}, Type: "opened", ContentType: "text/plain", Data: []byte("data"), Tags: []string{"a", "b"},
				OccurredAt: time.UnixMicro(1).UTC(),
				Context: daybook.Context{
					Who: "ann", Why: &daybook.Cause{ID: "1", What: "asked", Who: "bob", When: time.UnixMicro(2).UTC()}, Metadata: []byte("metadata"),
				},
			},
			Stream: daybook.Stream("account-1"), Version: 2, Position: 3, RecordedAt: time.UnixMicro(4).UTC(),
			Changeset: &daybook.ChangesetHeader{
				Number: 1, First: 2, Count: 1, Metadata: []byte("changeset"), Claims: []daybook.Claim{{Kind: "email", Value: "a"}},
				Releases: []daybook.Claim{{Kind: "email", Value: "b"}}, References: []daybook.StreamID{daybook.Stream("other-1")},
			},
		}
	}
	record := build()
	clone := record.Clone()
	if !reflect.DeepEqual(clone, record) {
		t.Fatalf("the clone is %+v, the record %+v", clone, record)
	}
	overwrite(reflect.ValueOf(&record).Elem())
	if reflect.DeepEqual(record, build()) || !reflect.DeepEqual(clone, build()) {
		t.Errorf("after the record was written over, its clone is %+v", clone)
	}
	if empty := (daybook.Record{}).Clone(); !reflect.DeepEqual(empty, daybook.Record{}) {
		t.Errorf("the clone of nothing is %+v", empty)
	}
}

func TestACloneOfAnAppendSharesNothingThatCanBeWritten(t *testing.T) {
	build := func() daybook.Append {
		claims := func(value string) []daybook.Claim { return []daybook.Claim{{Kind: "email", Value: value}} }
		return daybook.Append{
			ID: daybook.ID{1}, Durability: daybook.DurabilityDisk,
			Changesets: []daybook.Changeset{{
				Stream: daybook.Stream("account-1"), Expect: daybook.ExpectVersion(2), Metadata: []byte("meta"),
				Claims: claims("a"), Releases: claims("b"), References: []daybook.StreamID{daybook.Stream("other-1")},
				Events: []daybook.Event{{Type: "opened", Data: []byte("data"), Tags: []string{"a"}, Context: daybook.Context{Why: &daybook.Cause{ID: "1"}, Metadata: []byte("m")}}},
			}},
			Condition: &daybook.Condition{After: 3, Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"opened"}, Tags: []string{"t"}}}}},
		}
	}
	written := build()
	clone := written.Clone()
	if !reflect.DeepEqual(clone, build()) {
		t.Fatalf("the clone is %+v, the append %+v", clone, build())
	}
	overwrite(reflect.ValueOf(&written).Elem())
	if !reflect.DeepEqual(clone, build()) {
		t.Errorf("after the append was written over, its clone is %+v, %+v", clone, clone.Condition)
	}
	if empty := (daybook.Append{}).Clone(); !reflect.DeepEqual(empty, daybook.Append{}) {
		t.Errorf("the clone of nothing is %+v", empty)
	}
}

// overwrite sets to zero whatever can be reached from a value through slices
// and pointers.
func overwrite(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			overwrite(v.Elem())
			v.Elem().SetZero()
		}
	case reflect.Slice:
		for i := range v.Len() {
			overwrite(v.Index(i))
			v.Index(i).SetZero()
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				overwrite(v.Field(i))
			}
		}
	}
}
