package postgres

import (
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/daybook-go/daybook"
)

// parameterList are the parameters of a statement in the binary format of
// PostgreSQL. The arrays of large batches are written at once: to let pgx find
// out about each element takes longer than the server needs to store it.
//
// Source: the send and recv functions of the types in PostgreSQL.
type parameterList struct {
	values [][]byte
	types  []uint32
	memory []byte
}

// end closes the parameter that begins at from.
func (p *parameterList) end(from int, oid uint32) {
	p.values, p.types = append(p.values, p.memory[from:len(p.memory):len(p.memory)]), append(p.types, oid)
}

func (p *parameterList) null(oid uint32) {
	p.values, p.types = append(p.values, nil), append(p.types, oid)
}

func (p *parameterList) int64(v int64) {
	from := len(p.memory)
	p.memory = binary.BigEndian.AppendUint64(p.memory, uint64(v))
	p.end(from, pgtype.Int8OID)
}

// time writes a time; nil is null.
func (p *parameterList) time(t *time.Time) {
	if t == nil {
		p.null(pgtype.TimestamptzOID)
		return
	}
	from := len(p.memory)
	p.memory = binary.BigEndian.AppendUint64(p.memory, uint64(t.UnixMicro()-epoch))
	p.end(from, pgtype.TimestamptzOID)
}

// array begins an array of one dimension that counts from 1, without nulls.
func (p *parameterList) array(n int, element uint32) (from int) {
	from = len(p.memory)
	for _, v := range [...]uint32{1, 0, element, uint32(n), 1} {
		p.memory = binary.BigEndian.AppendUint32(p.memory, v)
	}
	return from
}

func (p *parameterList) int64s(list []int64) {
	from := p.array(len(list), pgtype.Int8OID)
	for _, v := range list {
		p.memory = binary.BigEndian.AppendUint32(p.memory, 8)
		p.memory = binary.BigEndian.AppendUint64(p.memory, uint64(v))
	}
	p.end(from, pgtype.Int8ArrayOID)
}

func (p *parameterList) int32s(list []int32) {
	from := p.array(len(list), pgtype.Int4OID)
	for _, v := range list {
		p.memory = binary.BigEndian.AppendUint32(p.memory, 4)
		p.memory = binary.BigEndian.AppendUint32(p.memory, uint32(v))
	}
	p.end(from, pgtype.Int4ArrayOID)
}

func (p *parameterList) ids(list []daybook.ID) {
	from := p.array(len(list), pgtype.UUIDOID)
	for i := range list {
		p.memory = binary.BigEndian.AppendUint32(p.memory, uint32(len(list[i])))
		p.memory = append(p.memory, list[i][:]...)
	}
	p.end(from, pgtype.UUIDArrayOID)
}

// appendText adds an element to an array of texts.
func appendText[T string | []byte](memory []byte, text T) []byte {
	memory = binary.BigEndian.AppendUint32(memory, uint32(len(text)))
	return append(memory, text...)
}
