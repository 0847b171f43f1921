package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/daybook-go/daybook/storage/disk"
)

// diskStats tells what the files of a store are.
func (p *program) diskStats(ctx context.Context) error {
	dir, err := p.directory("without --disk, stats works on any store")
	if err != nil {
		return err
	}
	u, err := disk.Measure(ctx, dir, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return &failure{exit: exitStore, err: fmt.Errorf("there is no store in %s", dir)}
	}
	if err != nil {
		return err
	}
	if p.json {
		return json.NewEncoder(p.stdout).Encode(jsonUsage(&u))
	}
	for _, row := range [][2]string{
		{"files", fmt.Sprintf("%s of %s", grouped(int64(u.Files)), counted(u.Bytes, "byte"))},
		{"sealed segments", fmt.Sprintf("%s of %s", grouped(int64(u.SealedSegments)), counted(u.SealedBytes, "byte"))},
		{"last segment", counted(u.LastBytes, "byte")},
		{"room ahead", counted(u.RoomBytes, "byte")},
		{"index files", fmt.Sprintf("%s of %s", grouped(int64(u.IndexFiles)), counted(u.IndexBytes, "byte"))},
		{"not indexed", fmt.Sprintf("%s of %s", counted(int64(u.Unindexed), "segment"), counted(u.UnindexedBytes, "byte"))},
		{"other files", counted(u.OtherBytes, "byte")},
		{"free", describeFree(u.Free)},
		{"written by", describeHolder(&u)},
		{"last recovery", describeRecovery(u.LastRecovery)},
	} {
		if _, err := fmt.Fprintf(p.stdout, "%-15s %s\n", row[0], printable(row[1])); err != nil {
			return err
		}
	}
	if len(u.Foreign) > 0 {
		_, err = fmt.Fprintf(p.stdout, "%-15s %s\n", "not its own", printable(strings.Join(u.Foreign, ", ")))
	}
	return err
}

func describeFree(free int64) string {
	if free < 0 {
		return "not known"
	}
	return counted(free, "byte")
}

func describeHolder(u *disk.Usage) string {
	switch {
	case u.Open != nil && u.Open.PID != 0:
		return fmt.Sprintf("%s, process %d on %s, since %s", u.Open.Program, u.Open.PID, u.Open.Host, u.Open.Since.Format(time.RFC3339))
	case u.Open != nil:
		return "another process"
	case u.Clean:
		return "nobody; it was closed"
	default:
		return "nobody; it was not closed, the next writer recovers it"
	}
}

func describeRecovery(r *disk.Recovery) string {
	if r == nil {
		return "none"
	}
	text := fmt.Sprintf("%s, in %s", r.At.UTC().Format(time.RFC3339), r.Took.Round(time.Millisecond))
	if r.Cut != nil {
		text += fmt.Sprintf("; dropped %s of an append that was never acknowledged", counted(r.Cut.Length, "byte"))
	}
	if n := len(r.Reindexed); n > 0 {
		text += fmt.Sprintf("; index files of %s made anew", counted(int64(n), "segment"))
	}
	if r.Damage != nil {
		text += "; damage: " + r.Damage.Error()
	}
	return text
}

// usageShape is what the files of a store are, as JSON.
type usageShape struct {
	Files          int            `json:"files"`
	Bytes          int64          `json:"bytes"`
	SealedSegments int            `json:"sealed_segments"`
	SealedBytes    int64          `json:"sealed_bytes"`
	LastBytes      int64          `json:"last_segment_bytes"`
	RoomBytes      int64          `json:"room_bytes"`
	IndexFiles     int            `json:"index_files"`
	IndexBytes     int64          `json:"index_bytes"`
	Unindexed      int            `json:"unindexed_segments"`
	UnindexedBytes int64          `json:"unindexed_bytes"`
	OtherBytes     int64          `json:"other_bytes"`
	Foreign        []string       `json:"foreign"`
	Free           *int64         `json:"free_bytes,omitempty"`
	Open           *disk.Holder   `json:"written_by,omitempty"`
	Clean          bool           `json:"clean"`
	LastRecovery   *recoveryShape `json:"last_recovery,omitempty"`
}

type recoveryShape struct {
	At           time.Time `json:"at"`
	Seconds      float64   `json:"seconds"`
	DroppedBytes int64     `json:"dropped_bytes"`
	Reindexed    int       `json:"reindexed_segments"`
	Damage       string    `json:"damage,omitempty"`
}

func jsonUsage(u *disk.Usage) usageShape {
	shape := usageShape{
		Files: u.Files, Bytes: u.Bytes, SealedSegments: u.SealedSegments, SealedBytes: u.SealedBytes, LastBytes: u.LastBytes,
		RoomBytes: u.RoomBytes, IndexFiles: u.IndexFiles, IndexBytes: u.IndexBytes, Unindexed: u.Unindexed,
		UnindexedBytes: u.UnindexedBytes, OtherBytes: u.OtherBytes, Foreign: append([]string{}, u.Foreign...), Open: u.Open, Clean: u.Clean,
	}
	if u.Free >= 0 {
		shape.Free = &u.Free
	}
	if r := u.LastRecovery; r != nil {
		shape.LastRecovery = &recoveryShape{At: r.At, Seconds: r.Took.Seconds(), Reindexed: len(r.Reindexed)}
		if r.Cut != nil {
			shape.LastRecovery.DroppedBytes = r.Cut.Length
		}
		if r.Damage != nil {
			shape.LastRecovery.Damage = r.Damage.Error()
		}
	}
	return shape
}
