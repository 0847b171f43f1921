package postgres

import (
	"encoding/binary"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
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
	room   sendRoom
}

// sendRoom has a connection put what it sends next into memory that is large
// enough: it adds no bytes. A connection begins each large message in a small
// piece of memory, and moves it whenever it is full.
type sendRoom struct {
	pgproto3.Sync // for the method that marks what clients send
	memory        []byte
}

// Encode implements pgproto3.FrontendMessage.
func (r *sendRoom) Encode(begun []byte) ([]byte, error) {
	return append(r.memory[:0], begun...), nil
}

// smallMessage is from which size on a connection lets go of the memory that it
// has sent from, with much to spare: what it keeps must not be used by others.
const smallMessage = 8 << 10

// makeRoom has the connection send a statement with these parameters from the
// memory of the list, unless it is small. If that fails the list must not be
// used again.
func (p *parameterList) makeRoom(c *pgconn.PgConn) {
	if len(p.memory) < smallMessage {
		return
	}
	if need := len(p.memory) + 8*len(p.values) + 1024; cap(p.room.memory) < need {
		p.room.memory = make([]byte, 0, need+need/4)
	}
	c.Frontend().Send(&p.room)
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
func (p *parameterList) array(n int, element uint32) (from int) { return p.begin(n, element, 0) }

// nullable begins an array that may have nulls.
func (p *parameterList) nullable(n int, element uint32) (from int) { return p.begin(n, element, 1) }

func (p *parameterList) begin(n int, element, nulls uint32) (from int) {
	from = len(p.memory)
	for _, v := range [...]uint32{1, nulls, element, uint32(n), 1} {
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

// appendNull adds an element that is null to an array.
func appendNull(memory []byte) []byte { return binary.BigEndian.AppendUint32(memory, 1<<32-1) }

// appendTime adds an element to an array of times.
func appendTime(memory []byte, t time.Time) []byte {
	memory = binary.BigEndian.AppendUint32(memory, 8)
	return binary.BigEndian.AppendUint64(memory, uint64(t.UnixMicro()-epoch))
}

// appendText adds an element to an array of texts.
func appendText[T string | []byte](memory []byte, text T) []byte {
	memory = binary.BigEndian.AppendUint32(memory, uint32(len(text)))
	return append(memory, text...)
}
