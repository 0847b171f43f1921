package globalorder_test

// The model of docs/globalorder.md: pages of one append each, and the rows that
// are settled from them. A state is all that the storage holds and all that
// writers and the reader remember; next gives every state that one step of
// anybody leads to.

// bugs are ways to get the protocol wrong.
type bugs struct {
	overwrite      bool // a page is put in the place of another
	keepDecision   bool // who lost a number takes the next one, and does not decide again
	rowsAlone      bool // what the rows say is taken for all, the tail is not looked at
	markFirst      bool // a page is marked as settled before its rows are written
	stampFalls     bool // a head gives way to an older one
	refusedUnknown bool // an unknown outcome is answered as refused
	rowsBeforeTail bool // a reader takes the rows first, and the tail afterwards
}

const (
	mostPages   = 6
	mostStreams = 2
	mostIDs     = 5
)

type modelPage struct {
	nonce, id, stream, version, settled int8
	done                                bool
}

type modelState struct {
	pages [mostPages + 1]modelPage // by number; 0 is none
	n     int8

	heads   [mostStreams]struct{ version, stamp int8 }
	ids     [mostIDs]int8                    // the page
	records [mostStreams][mostPages + 1]int8 // by version: the page
	under   struct {
		page modelPage
		num  int8
	} // a creation that is still under way

	writers         [3]modelWriter
	reader          modelReader
	crashes, losses int8 // that may still happen
	gap             int8
}

// The steps of a writer.
const (
	atTail = int8(iota) // read the tail
	atID                // look up the id
	atHead              // look up the head, and decide
	atCreate
	atRace   // look whose page it is
	atSettle // one write
	atEnd
	crashed
)

// What an append was answered with.
const (
	noAnswer = int8(iota)
	stored
	refused
	unknown
)

type modelWriter struct {
	at               int8
	id, stream       int8
	expect           int8 // a version; -1 is any
	known            int8 // the tail ends here
	settled          int8 // all are settled up to here
	found            int8 // the page of the id
	fresh            bool
	page             modelPage
	num              int8
	attempts         int8
	settling, last   int8 // the page that is settled now, and the last one
	write            int8 // the write of it that is next
	then             int8
	answer, answered int8
}

type modelReader struct {
	at             int8
	times          int8 // that it will still read
	needs          int8 // the version that was acknowledged when it began
	known, settled int8
	rows           [mostPages + 1]int8
}

// settledUpTo returns up to which page all are settled, as far as the pages say.
func (s *modelState) settledUpTo() int8 {
	m := s.pages[s.n].settled
	for m < s.n && s.pages[m+1].done {
		m++
	}
	return m
}

// next calls visit with every state that a step leads to, or with what it breaks.
func (s modelState) next(b bugs, visit func(modelState, string)) {
	if num := s.under.num; num > 0 { // a late request arrives
		after := s
		after.under = modelState{}.under
		if num == s.n+1 {
			after.n++
			after.pages[num] = s.under.page
		}
		visit(after, after.broken())
	}
	for i := range s.writers {
		if at := s.writers[i].at; at == atEnd || at == crashed {
			continue
		}
		if s.crashes > 0 {
			after := s
			after.crashes--
			after.writers[i].at = crashed
			visit(after, "")
		}
		s.step(i, b, visit)
	}
	if s.reader.times > 0 {
		s.read(b, visit)
	}
}

func (s modelState) step(i int, b bugs, visit func(modelState, string)) {
	w := &s.writers[i]
	switch w.at {
	case atTail:
		w.known, w.settled, w.fresh, w.at = s.n, s.settledUpTo(), true, atID
	case atID:
		w.found, w.at = s.ids[w.id], atHead
		if w.found > w.known {
			w.at = atTail
		}
	case atHead:
		s.decide(w, b)
		w.page.nonce = int8(10*i) + w.attempts
	case atCreate:
		s.create(i, b, visit)
		return
	case atRace:
		switch {
		case s.pages[w.num].nonce == w.page.nonce:
			s.stored(w)
		case b.keepDecision:
			w.num, w.at = w.num+1, atCreate
		default:
			w.at, w.attempts = atTail, w.attempts+1
		}
	case atSettle:
		s.settle(w, b)
	}
	visit(s, s.broken())
}

// decide decides on the state that the tail and the rows give.
func (s *modelState) decide(w *modelWriter, b bugs) {
	head := s.heads[w.stream]
	if head.stamp > w.known {
		w.at = atTail
		return
	}
	version, found := head.version, w.found
	for k := w.settled + 1; k <= w.known && !b.rowsAlone; k++ {
		if p := s.pages[k]; p.id == w.id {
			found = k
		} else if p.stream == w.stream && k > head.stamp {
			version = p.version
		}
	}
	switch {
	case found > 0:
		w.answer, w.answered, w.at = stored, found, atEnd
	case w.expect >= 0 && version != w.expect && !w.fresh:
		w.at = atTail
	case w.expect >= 0 && version != w.expect:
		w.answer, w.at = refused, atEnd
	case w.known == mostPages:
		w.at = crashed // as far as the model goes
	default:
		w.page = modelPage{id: w.id, stream: w.stream, version: version + 1, settled: w.settled}
		w.num, w.at = w.known+1, atCreate
		if w.known-w.settled >= s.gap {
			w.page.settled = w.known
			w.settling, w.last, w.write, w.then, w.at = w.settled+1, w.known, 0, atCreate, atSettle
		}
	}
}

// create gives every outcome of sending a page.
func (s modelState) create(i int, b bugs, visit func(modelState, string)) {
	w := &s.writers[i]
	if w.num <= s.n && !b.overwrite {
		w.at = atRace
		visit(s, "")
		return
	}
	if w.num > mostPages {
		w.at = crashed
		visit(s, "")
		return
	}
	carried := s
	carried.n = max(s.n, w.num)
	carried.pages[w.num] = w.page
	answered := carried
	answered.stored(&answered.writers[i])
	visit(answered, answered.broken())
	if s.losses == 0 {
		return
	}
	late := s
	late.under.page, late.under.num = w.page, w.num
	for _, after := range []modelState{carried, late} {
		after.losses--
		if b.refusedUnknown {
			after.writers[i].answer, after.writers[i].at = refused, atEnd
		}
		visit(after, after.broken()) // sent again: it is at atCreate still
		after.writers[i].answer, after.writers[i].at = unknown, atEnd
		if !b.refusedUnknown {
			visit(after, after.broken()) // or given up
		}
	}
}

// stored answers a writer, who settles what he has created.
func (s *modelState) stored(w *modelWriter) {
	w.answer, w.answered = stored, w.num
	w.settling, w.last, w.write, w.then, w.at = w.num, w.num, 0, atEnd, atSettle
}

// settle makes one write of those that settle a page.
func (s *modelState) settle(w *modelWriter, b bugs) {
	p := &s.pages[w.settling]
	write := w.write
	if b.markFirst {
		write = (write + 3) % 4
	}
	switch write {
	case 0:
		s.records[p.stream][p.version] = w.settling
	case 1:
		s.ids[p.id] = w.settling
	case 2:
		if head := &s.heads[p.stream]; head.stamp < w.settling || b.stampFalls {
			head.version, head.stamp = p.version, w.settling
		}
	case 3:
		p.done = true
	}
	if w.write++; w.write == 4 {
		w.settling, w.write = w.settling+1, 0
	}
	if w.settling > w.last {
		w.at = w.then
	}
}

// read is a read of stream 0: the tail, then the rows.
func (s modelState) read(b bugs, visit func(modelState, string)) {
	r := &s.reader
	if r.at == 0 {
		r.needs = 0
		for _, w := range s.writers {
			if p := s.pages[w.answered]; w.answer == stored && p.stream == 0 {
				r.needs = max(r.needs, p.version)
			}
		}
	}
	if (r.at == 0) != b.rowsBeforeTail {
		r.known, r.settled = s.n, s.settledUpTo()
	} else {
		r.rows = s.records[0]
	}
	if r.at++; r.at < 2 {
		visit(s, "")
		return
	}
	wrong := s.judge()
	times := r.times - 1
	*r = modelReader{times: times}
	visit(s, wrong)
}

// judge returns what is wrong with what the reader has got.
func (s *modelState) judge() string {
	r := &s.reader
	var got []int8
	first := int8(mostPages + 1)
	for k := r.settled + 1; k <= r.known; k++ {
		if s.pages[k].stream == 0 {
			first = min(first, s.pages[k].version)
		}
	}
	for v := int8(1); v <= mostPages && v < first; v++ {
		if r.rows[v] > 0 && r.rows[v] <= r.known {
			got = append(got, v)
		}
	}
	for k := r.settled + 1; k <= r.known; k++ {
		if s.pages[k].stream == 0 {
			got = append(got, s.pages[k].version)
		}
	}
	for i, v := range got {
		if v != int8(i+1) {
			return "a reader of a stream has passed a record that is there"
		}
	}
	if int8(len(got)) < r.needs {
		return "a reader does not find what was acknowledged"
	}
	return ""
}

// broken returns what is wrong with the log.
func (s *modelState) broken() string {
	var versions [mostStreams]int8
	var seen [mostIDs]bool
	for k := int8(1); k <= s.n; k++ {
		p := s.pages[k]
		if p.version != versions[p.stream]+1 {
			return "a version of a stream stands twice, or is missing"
		}
		versions[p.stream] = p.version
		if seen[p.id] {
			return "an append was stored twice"
		}
		seen[p.id] = true
	}
	for _, w := range s.writers {
		switch {
		case w.answer == stored && s.pages[w.answered].id != w.id:
			return "an append that was acknowledged is not where its receipt says"
		case w.answer == refused && seen[w.id] && !s.others(w.id):
			return "an append that was refused is stored"
		}
	}
	return ""
}

// others reports whether several writers have the same append.
func (s *modelState) others(id int8) bool {
	n := 0
	for _, w := range s.writers {
		if w.at != crashed && w.id == id {
			n++
		}
	}
	return n > 1
}
