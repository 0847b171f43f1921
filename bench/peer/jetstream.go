package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// jetStreamPeer is NATS JetStream in this process, a subject a stream.
type jetStreamPeer struct {
	server     *server.Server
	connection *nats.Conn
	js         jetstream.JetStream

	mu   sync.Mutex
	last map[string]uint64 // by subject: the sequence of its last message
}

const (
	jetStreamName   = "events"
	jetStreamPrefix = "ev."
	// jetStreamBatch is how many messages JetStream takes in one atomic batch.
	jetStreamBatch = 1000
	// jetStreamWrongSequence is its code for a subject that has moved on.
	jetStreamWrongSequence = 10071
)

func openJetStream(ctx context.Context, place Place) (Peer, error) {
	if err := makeEmpty(place); err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: place.Dir, NoSigs: true, NoLog: true,
		SyncAlways:         !place.Unsynced,
		JetStreamMaxMemory: 256 << 20, JetStreamMaxStore: 1 << 40,
		// By default no more than 50 batches may be open at once, and the server
		// drops the others.
		JetStreamLimits: server.JSLimitOpts{MaxBatchInflightPerStream: 1000},
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		return nil, errors.New("the NATS server is not ready after 30 seconds")
	}
	p := &jetStreamPeer{server: s, last: map[string]uint64{}}
	if err := p.connect(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *jetStreamPeer) connect(ctx context.Context) error {
	var err error
	if p.connection, err = nats.Connect("", nats.InProcessServer(p.server)); err != nil {
		return err
	}
	if p.js, err = jetstream.New(p.connection, jetstream.WithDefaultTimeout(time.Minute)); err != nil {
		return err
	}
	_, err = p.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: jetStreamName, Subjects: []string{jetStreamPrefix + ">"}, Storage: jetstream.FileStorage, AllowAtomicPublish: true,
	})
	return err
}

// Append implements Peer. An append of several events is an atomic batch;
// several appends go one by one.
func (p *jetStreamPeer) Append(ctx context.Context, appends ...Append) error {
	for i := range appends {
		a := &appends[i]
		if len(a.Events) > jetStreamBatch {
			return fmt.Errorf("%d events in one append: %w", len(a.Events), ErrAbsent)
		}
		subject := jetStreamPrefix + a.Stream
		p.mu.Lock()
		last := p.last[subject]
		p.mu.Unlock()
		sequence, err := p.publish(ctx, subject, last, a.Events)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.last[subject] = sequence
		p.mu.Unlock()
	}
	return nil
}

// publish stores events under a subject whose last message must have the
// sequence, and returns that of the new last one.
func (p *jetStreamPeer) publish(ctx context.Context, subject string, last uint64, events []Event) (uint64, error) {
	message := nats.NewMsg(subject)
	message.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(last, 10))
	if len(events) > 1 {
		batch := nats.NewInbox()
		for i := range events {
			message.Header.Set("Nats-Batch-Id", batch[max(0, len(batch)-64):])
			message.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
			message.Data = events[i].Data
			if i == len(events)-1 {
				break
			}
			if err := p.connection.PublishMsg(message); err != nil {
				return 0, err
			}
			message = nats.NewMsg(subject)
		}
		message.Header.Set("Nats-Batch-Commit", "1")
	} else {
		message.Data = events[0].Data
	}
	reply, err := p.connection.RequestMsgWithContext(ctx, message)
	if err != nil {
		return 0, err
	}
	return readAck(reply.Data)
}

// readAck returns the sequence that an answer to a publish tells.
func readAck(reply []byte) (uint64, error) {
	var ack struct {
		Sequence uint64              `json:"seq"`
		Error    *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply, &ack); err != nil {
		return 0, fmt.Errorf("the answer of the NATS server: %w", err)
	}
	switch {
	case ack.Error != nil && ack.Error.ErrorCode == jetStreamWrongSequence:
		return 0, fmt.Errorf("%w: %w", ErrConflict, ack.Error)
	case ack.Error != nil:
		return 0, ack.Error
	case ack.Sequence == 0:
		return 0, fmt.Errorf("the NATS server did not acknowledge: %s", reply)
	}
	return ack.Sequence, nil
}

// ReadStream implements Peer.
func (p *jetStreamPeer) ReadStream(ctx context.Context, stream string, visit func(version int64, data []byte) error) error {
	version := int64(0)
	return p.read(ctx, []string{jetStreamPrefix + stream}, func(data []byte) error {
		version++
		return visit(version, data)
	})
}

// ReadLog implements LogReader.
func (p *jetStreamPeer) ReadLog(ctx context.Context, visit func(data []byte) error) error {
	return p.read(ctx, nil, visit)
}

// read hands over the messages of the subjects, or all.
func (p *jetStreamPeer) read(ctx context.Context, subjects []string, visit func(data []byte) error) error {
	reader, err := p.js.OrderedConsumer(ctx, jetStreamName, jetstream.OrderedConsumerConfig{FilterSubjects: subjects})
	if err != nil {
		return err
	}
	info, err := reader.Info(ctx)
	if err != nil || info.NumPending == 0 {
		return err
	}
	messages, err := reader.Messages(jetstream.PullMaxMessages(5000))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for range info.NumPending {
		message, err := messages.Next()
		if err != nil {
			return err
		}
		if err := visit(message.Data()); err != nil {
			return err
		}
	}
	return nil
}

// Close implements Peer.
func (p *jetStreamPeer) Close() error {
	if p.connection != nil {
		p.connection.Close()
	}
	p.server.Shutdown()
	p.server.WaitForShutdown()
	return nil
}
