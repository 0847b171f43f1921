package wire

import (
	"encoding/json"
	"unicode/utf8"
)

// scanner reads JSON in one pass, without reflection, as far as it is written
// the common way. Where it meets anything else (an escape in a string that it
// is to read, a null, a key that stands twice, an error) it gives up, and
// encoding/json reads the document from the start: that one decides what is
// refused, and says why. So all that counts here is to give up too often
// rather than too seldom.
type scanner struct {
	data []byte // valid UTF-8
	at   int
	bad  bool // it has given up; nothing moves any more

	eventType string // the last one read: the next is often the same
}

// deepestScan is how deep a value may be nested that the scanner passes over.
const deepestScan = 64

// newScanner returns a scanner of a document.
func newScanner(data []byte) *scanner { return &scanner{data: data, bad: !utf8.Valid(data)} }

// giveUp returns what is not to be used.
func (s *scanner) giveUp() []byte {
	s.bad = true
	s.at = len(s.data)
	return nil
}

// peek passes over white space and returns the byte behind it, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// take passes over a byte, behind white space, if it is the next one.
func (s *scanner) take(c byte) bool {
	if s.bad || s.peek() != c {
		return false
	}
	s.at++
	return true
}

// end reports whether the document was read without giving up, and nothing is
// left of it.
func (s *scanner) end() bool { return !s.bad && s.peek() == 0 && s.at == len(s.data) }

// object reads an object: it calls member for each key, with the scanner
// before the value, which member must read. Keys may not have escapes.
func (s *scanner) object(member func(key []byte)) {
	if !s.take('{') {
		s.giveUp()
		return
	}
	if s.take('}') {
		return
	}
	for !s.bad {
		key := s.plain()
		if !s.take(':') {
			s.giveUp()
			return
		}
		member(key)
		if s.take(',') {
			continue
		}
		if !s.take('}') {
			s.giveUp()
		}
		return
	}
}

// array reads an array: it calls value before each value, which value must
// read.
func (s *scanner) array(value func()) {
	if !s.take('[') {
		s.giveUp()
		return
	}
	if s.take(']') {
		return
	}
	for !s.bad {
		value()
		if s.take(',') {
			continue
		}
		if !s.take(']') {
			s.giveUp()
		}
		return
	}
}

// plain returns what a string without escapes holds.
func (s *scanner) plain() []byte {
	raw := s.value()
	if len(raw) < 2 || raw[0] != '"' {
		return s.giveUp()
	}
	text := raw[1 : len(raw)-1]
	for _, c := range text {
		if c == '\\' {
			return s.giveUp()
		}
	}
	return text
}

// text returns a string without escapes.
func (s *scanner) text() string { return string(s.plain()) }

// into reads a value as encoding/json does.
func (s *scanner) into(value any) {
	raw := s.value()
	if s.bad || raw[0] == 'n' || Decode(raw, value) != nil {
		s.giveUp()
	}
}

// value returns a value of any kind as it stands.
func (s *scanner) value() []byte {
	if s.bad {
		return nil
	}
	s.peek()
	from := s.at
	s.skip(deepestScan)
	if s.bad {
		return nil
	}
	return s.data[from:s.at:s.at]
}

// skip passes over a value of any kind.
func (s *scanner) skip(depth int) {
	switch c := s.peek(); {
	case c == '"':
		s.skipString()
	case c == '{' && depth > 0:
		s.at++
		s.skipMembers(depth - 1)
	case c == '[' && depth > 0:
		s.at++
		s.skipValues(depth - 1)
	case c == '-' || c >= '0' && c <= '9':
		s.skipNumber()
	case c == 't':
		s.skipWord("true")
	case c == 'f':
		s.skipWord("false")
	case c == 'n':
		s.skipWord("null")
	default:
		s.giveUp()
	}
}

// skipMembers passes over the rest of an object that was opened.
func (s *scanner) skipMembers(depth int) {
	if s.take('}') {
		return
	}
	for !s.bad {
		if s.peek() != '"' {
			s.giveUp()
			return
		}
		s.skipString()
		if !s.take(':') {
			s.giveUp()
			return
		}
		s.skip(depth)
		if s.take('}') {
			return
		}
		if !s.take(',') {
			s.giveUp()
		}
	}
}

// skipValues passes over the rest of an array that was opened.
func (s *scanner) skipValues(depth int) {
	if s.take(']') {
		return
	}
	for !s.bad {
		s.skip(depth)
		if s.take(']') {
			return
		}
		if !s.take(',') {
			s.giveUp()
		}
	}
}

// skipString passes over a string.
func (s *scanner) skipString() {
	for i := s.at + 1; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.at = i + 1
			return
		case c < ' ':
			s.giveUp()
			return
		case c == '\\':
			n := escape(s.data[i:])
			if n == 0 {
				s.giveUp()
				return
			}
			i += n - 1
		}
	}
	s.giveUp()
}

// escape returns how long the escape is that text begins with; 0 if it is
// none.
func escape(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(text) < 6 {
			return 0
		}
		for _, c := range text[2:6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// skipNumber passes over a number.
func (s *scanner) skipNumber() {
	if s.data[s.at] == '-' {
		s.at++
	}
	if s.at < len(s.data) && s.data[s.at] == '0' {
		s.at++
	} else if !s.skipDigits() {
		return
	}
	if s.at < len(s.data) && s.data[s.at] == '.' {
		s.at++
		if !s.skipDigits() {
			return
		}
	}
	if s.at < len(s.data) && s.data[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.data) && (s.data[s.at] == '+' || s.data[s.at] == '-') {
			s.at++
		}
		s.skipDigits()
	}
}

// skipDigits passes over digits, of which there must be one.
func (s *scanner) skipDigits() bool {
	from := s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
	}
	if s.at == from {
		s.giveUp()
		return false
	}
	return true
}

func (s *scanner) skipWord(word string) {
	if len(s.data)-s.at < len(word) || string(s.data[s.at:s.at+len(word)]) != word {
		s.giveUp()
		return
	}
	s.at += len(word)
}

// Members calls member for the members of a JSON object, in order, with their
// values as they stand. It reports whether it could; if not, data is no
// object, or not written the common way, and what it has told is void. The
// values share the memory of data.
func Members(data []byte, member func(key, value []byte)) bool {
	s := newScanner(data)
	s.object(func(key []byte) {
		if value := s.value(); !s.bad {
			member(key, value)
		}
	})
	return s.end()
}

// Values returns the values of a JSON array as they stand, on the terms of
// Members.
func Values(data []byte) (values []json.RawMessage, ok bool) {
	s := newScanner(data)
	s.array(func() { values = append(values, s.value()) })
	return values, s.end()
}
