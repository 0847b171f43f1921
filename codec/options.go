package codec

// Policy says what happens to a record that a codec cannot decode. The zero
// Policy is the default of the field that it stands in.
type Policy uint8

const (
	// Fail: Decode returns a *DecodeError.
	Fail Policy = iota + 1
	// Skip: Decode returns no values and no error; of an unknown field, the
	// values without it.
	Skip
	// Aside: the record goes to the codec's Quarantine, Decode returns no
	// values and no error.
	Aside
)

// Options of a codec are one of the entries that New is given. Zero fields
// mean the defaults.
type Options struct {
	// UnknownTypes is for records whose type, schema or content type no entry
	// reads. Default Fail.
	UnknownTypes Policy
	// UnknownFields is for data that holds more than its type does. Default
	// Skip: while a release is rolled out, old programs read the records of
	// new ones.
	UnknownFields Policy
	// BadData is for data that does not decode and for steps that fail.
	// Default Fail.
	BadData Policy
	// Encoding writes the data of events, and reads it. Default JSON{}.
	Encoding Encoding
	// Also read the data of records, besides Encoding.
	Also []Encoding
	// Quarantine is where Aside puts records. Several codecs may share one.
	// Default one of the codec's own, see Codec.Quarantine.
	Quarantine *Quarantine
}

// add makes Options an Entry.
func (o *Options) add(b *build) {
	if b.options != nil {
		b.problem(nil, "", "the options are given twice")
		return
	}
	options := Options{}
	if o != nil {
		options = *o
	}
	b.options = &options
}

// settle fills in the defaults.
func (o *Options) settle() {
	if o.UnknownTypes == 0 {
		o.UnknownTypes = Fail
	}
	if o.UnknownFields == 0 {
		o.UnknownFields = Skip
	}
	if o.BadData == 0 {
		o.BadData = Fail
	}
	if o.Encoding == nil {
		o.Encoding = JSON{}
	}
	if o.Quarantine == nil {
		o.Quarantine = NewQuarantine(nil)
	}
}

// policy returns what to do about a reason.
func (o *Options) policy(reason Reason) Policy {
	switch reason {
	case UnknownType, UnknownContentType:
		return o.UnknownTypes
	case UnknownField:
		return o.UnknownFields
	default:
		return o.BadData
	}
}
