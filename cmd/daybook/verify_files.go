package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/daybook-go/daybook/storage/disk"
)

// verifyFiles checks the files of a store. What it finds it writes, and returns
// as found.
func (p *program) verifyFiles(ctx context.Context, f *verifyFlags) (found, err error) {
	dir, err := p.directory("without --quick and --deep, verify works on any store")
	if err != nil {
		return nil, err
	}
	bar := p.newProgress()
	report, err := disk.Check(ctx, dir, &disk.CheckOptions{
		Deep: f.deep, MaxProblems: f.options.MaxFindings, Progress: func(done, total int64) { bar.show("files", done, total) },
	})
	bar.done()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &failure{exit: exitStore, err: fmt.Errorf("there is no store in %s", dir)}
	case err != nil:
		return nil, err
	}
	if p.json {
		err = json.NewEncoder(p.stdout).Encode(jsonCheck(&report))
	} else {
		err = p.printCheck(&report, f.deep)
	}
	if !report.OK() {
		found = hinted(fmt.Errorf("%s in the files", counted(report.Found, "problem")), "%s", checkHint(&report))
	}
	return found, err
}

// checkHint says what to do about problems.
func checkHint(r *disk.CheckReport) string {
	for _, problem := range r.Problems {
		if problem.Kind != disk.BrokenIndex && problem.Kind != disk.BrokenAnswers {
			return "docs/when-things-go-wrong.md says what to do"
		}
	}
	return "the log is not concerned: daybook reindex makes the index files anew"
}

func (p *program) printCheck(r *disk.CheckReport, deep bool) error {
	for _, problem := range r.Problems {
		fmt.Fprintln(p.stdout, printable(problem.String()))
	}
	if more := r.Found - int64(len(r.Problems)); more > 0 {
		fmt.Fprintf(p.stdout, "and %s more\n", grouped(more))
	}
	for _, skipped := range r.Skipped {
		fmt.Fprintf(p.stdout, "not checked: %s\n", printable(skipped))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(p.stdout, "note: %s\n", printable(note))
	}
	verdict := "files sound"
	if !r.OK() {
		verdict = counted(r.Found, "problem") + " in the files"
	}
	read := ""
	if deep {
		read = fmt.Sprintf("; %s in %s read", counted(r.Records, "record"), counted(r.Changesets, "changeset"))
	}
	_, err := fmt.Fprintf(p.stdout, "%s: %s of %s, %s of %s, up to position %s%s\n", verdict, counted(int64(r.Segments), "segment"),
		counted(r.SegmentBytes, "byte"), counted(int64(r.IndexFiles), "index file"), counted(r.IndexBytes, "byte"), grouped(int64(r.End)), read)
	return err
}

// checkShape is the report of a check of files, as JSON.
type checkShape struct {
	OK           bool           `json:"ok"`
	Found        int64          `json:"found"`
	StoreID      string         `json:"store_id"`
	Open         bool           `json:"open"` // a writer has it
	Segments     int            `json:"segments"`
	SegmentBytes int64          `json:"segment_bytes"`
	IndexFiles   int            `json:"index_files"`
	IndexBytes   int64          `json:"index_bytes"`
	Changesets   int64          `json:"changesets"`
	Records      int64          `json:"records"`
	Position     int64          `json:"position"`
	Problems     []problemShape `json:"problems"`
	Skipped      []string       `json:"skipped"`
	Notes        []string       `json:"notes"`
}

type problemShape struct {
	Kind     string `json:"kind"`
	File     string `json:"file"`
	Offset   int64  `json:"offset"`
	Position int64  `json:"position,omitempty"`
	Message  string `json:"message"`
}

func jsonCheck(r *disk.CheckReport) checkShape {
	shape := checkShape{
		OK: r.OK(), Found: r.Found, StoreID: r.ID.String(), Open: r.Live, Segments: r.Segments, SegmentBytes: r.SegmentBytes,
		IndexFiles: r.IndexFiles, IndexBytes: r.IndexBytes, Changesets: r.Changesets, Records: r.Records, Position: int64(r.End),
		Problems: []problemShape{}, Skipped: append([]string{}, r.Skipped...), Notes: append([]string{}, r.Notes...),
	}
	for _, p := range r.Problems {
		shape.Problems = append(shape.Problems, problemShape{string(p.Kind), p.File, p.Offset, int64(p.Position), p.Reason})
	}
	return shape
}
