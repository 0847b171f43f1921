package daybook

import (
	"context"
	"iter"
)

// ReadStream yields the records of a stream that read asks for, in the order
// of their versions; nothing for a stream without records (see Head). The
// sequence is finite and may be ranged over once. After an error it ends:
// *InvalidError for wrong input, *CorruptError for damage, else whatever kept
// the storage from reading.
func (s *Store) ReadStream(ctx context.Context, id StreamID, read StreamRead) iter.Seq2[Record, error] {
	if err := id.Validate(); err != nil {
		return failed[Record](err)
	}
	if err := read.validate(); err != nil {
		return failed[Record](err)
	}
	return s.watched(ctx, id, s.driver.ReadStream(ctx, id, read))
}

// ReadLog yields the records of the log that read asks for, in the order of
// their positions, on the terms of ReadStream. What it has passed is settled:
// nothing will ever appear at or below a position that it has yielded.
func (s *Store) ReadLog(ctx context.Context, read LogRead) iter.Seq2[Record, error] {
	if err := read.validate(); err != nil {
		return failed[Record](err)
	}
	return s.watched(ctx, StreamID{}, s.driver.ReadLog(ctx, read))
}

// Follow is ReadLog that does not end: behind the last record it waits for
// more. It ends with the error of ctx, with an error of the storage, or when
// read.Limit or read.To is reached. It reads forwards only.
func (s *Store) Follow(ctx context.Context, read LogRead) iter.Seq2[Record, error] {
	if read.Backwards {
		return failed[Record](&InvalidError{Field: "backwards", Value: "true", Reason: "the log is followed forwards only"})
	}
	return func(yield func(Record, error) bool) {
		for {
			end, err := s.End(ctx)
			if err != nil {
				yield(Record{}, err)
				return
			}
			if read.To > 0 {
				end = min(end, read.To)
			}
			if end > read.After {
				if !s.followTo(ctx, &read, end, yield) {
					return
				}
			}
			if read.To > 0 && read.After >= read.To {
				return
			}
			if err := s.Wait(ctx, read.After); err != nil {
				yield(Record{}, err)
				return
			}
		}
	}
}

// followTo yields what read asks for up to end and moves read behind it. It
// reports whether to go on.
func (s *Store) followTo(ctx context.Context, read *LogRead, end Position, yield func(Record, error) bool) bool {
	piece := *read
	piece.To = end
	for record, err := range s.ReadLog(ctx, piece) {
		if err != nil {
			yield(Record{}, err)
			return false
		}
		if !yield(record, nil) {
			return false
		}
		if read.Limit > 0 {
			read.Limit--
			if read.Limit == 0 {
				return false
			}
		}
	}
	read.After = end
	return true
}

// watched is records, with Hooks.ReadEnd called when ranging ends.
func (s *Store) watched(ctx context.Context, id StreamID, records iter.Seq2[Record, error]) iter.Seq2[Record, error] {
	if s.options.Hooks.ReadEnd == nil {
		return records
	}
	return func(yield func(Record, error) bool) {
		start := s.options.Now()
		end := ReadEnd{Stream: id}
		defer func() {
			end.Took = s.options.Now().Sub(start)
			s.options.Hooks.ReadEnd(ctx, end)
		}()
		for record, err := range records {
			if err != nil {
				end.Err = err
			} else {
				end.Records++
			}
			if !yield(record, err) {
				return
			}
		}
	}
}
