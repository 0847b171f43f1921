package sqlstore

// Kept is the memory of what is read from rows: what stands in many of them is
// kept once, and small pieces lie together.
type Kept struct {
	texts  map[string]string
	memory []byte
}

// keptTexts bounds how many texts are kept once, and keptLen how long they are.
const (
	keptTexts = 4096
	keptLen   = 256
)

// Text returns a text that may stand in other rows too.
func (k *Kept) Text(b []byte) string {
	if t, ok := k.texts[string(b)]; ok {
		return t
	}
	t := string(b)
	if len(b) > keptLen {
		return t
	}
	if k.texts == nil || len(k.texts) >= keptTexts {
		k.texts = make(map[string]string)
	}
	k.texts[t] = t
	return t
}

// piece is how much memory is allocated at once.
const piece = 16 << 10

// Bytes returns a copy of b; nil where it is empty.
func (k *Kept) Bytes(b []byte) []byte {
	switch {
	case len(b) == 0:
		return nil
	case len(b) > piece/4:
		return append([]byte(nil), b...)
	case len(b) > cap(k.memory)-len(k.memory):
		k.memory = make([]byte, 0, piece)
	}
	n := len(k.memory)
	k.memory = append(k.memory, b...)
	return k.memory[n:len(k.memory):len(k.memory)]
}
