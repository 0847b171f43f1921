package azuretable_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azuretable"
)

func TestKeysSortAsTheBytesOfTheirTexts(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d replays this", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	texts := []string{"", "-", "_", "a", "a-", "a_", "a!", "a!!", "~", "é", "A", "'", "/", "\\", "#", "?", "%", "\x7f", "日本"}
	for range 500 {
		b := make([]byte, random.IntN(4))
		for i := range b {
			b[i] = byte(random.IntN(256))
		}
		texts = append(texts, string(b))
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	var keys []string
	for _, text := range texts {
		key := azuretable.Encode(text)
		if strings.ContainsAny(key, `/\#?'%`) || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) || strings.HasPrefix(key, "!!") {
			t.Errorf("the key of %q is %q, which the service does not take", text, key)
		}
		keys = append(keys, key)
	}
	if !slices.IsSorted(keys) || len(slices.Compact(keys)) != len(texts) {
		t.Error("keys do not sort as their texts, or two texts have one key")
	}
	for _, a := range []string{"", "a", "a!", "b"} {
		for _, b := range []string{"", "a", "a!", "b"} {
			first, second := azuretable.StreamKey(daybook.StreamID{Partition: a, Name: "z"}), azuretable.StreamKey(daybook.StreamID{Partition: b, Name: "a"})
			if a < b && first >= second {
				t.Errorf("a stream of partition %q sorts behind one of partition %q", a, b)
			}
		}
	}
}

func TestNamesHaveKeysThatTheServiceTakes(t *testing.T) {
	long := strings.Repeat("é", 512)
	ids := []daybook.StreamID{
		{Name: "account"}, {Name: "account-"}, {Name: "account-1"}, {Name: "-"}, {Name: "-1"}, {Name: "account-1_000001"},
		{Partition: "p", Name: "account-1"}, {Name: "p!!account-1"}, {Name: "account-!."}, {Name: "account-!-"},
		{Name: long}, {Name: long[:1000] + "x"}, {Name: "a-" + long[:1000]}, {Name: "a-" + long[:998]}, {Partition: long[:256], Name: long},
	}
	seen := map[string]daybook.StreamID{}
	for _, id := range ids {
		partition, row := azuretable.RecordsPartition(id), azuretable.Source(id)+"_"+azuretable.VersionKey(1<<62)
		if len(partition) == 0 || len(partition) > 512 || len(row) > 512 || len(azuretable.StreamKey(id)) > 512 {
			t.Errorf("the keys of %q have %d, %d and %d characters, the service takes 512", id, len(partition), len(row), len(azuretable.StreamKey(id)))
		}
		if other, twice := seen[partition+"\x00"+row]; twice {
			t.Errorf("%q and %q have the same rows", id, other)
		}
		seen[partition+"\x00"+row] = id
	}
}

func TestVersionsSortAlsoBeyondSixDigits(t *testing.T) {
	last := ""
	for _, v := range []daybook.Version{1, 9, 10, 999_999, 1_000_000, 9_999_999, 10_000_000, 1 << 40, 1 << 62} {
		key := azuretable.VersionKey(v)
		if key <= last {
			t.Errorf("version %d has key %q, which does not sort behind %q", v, key, last)
		}
		if back, ok := azuretable.ParseVersion(key); !ok || back != v {
			t.Errorf("key %q is read as %d", key, back)
		}
		last = key
	}
	for _, key := range []string{"", "1", "0000001", "a000001", "000001_000001", "b1000000"} {
		if _, ok := azuretable.ParseVersion(key); ok {
			t.Errorf("%q is read as a version", key)
		}
	}
}
