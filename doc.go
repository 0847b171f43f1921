// Package daybook is an event store: the words, the contract that a storage
// fulfils, and [Store], the one type that programs hold.
//
// Open a driver, put a Store around it, append events to a stream, read them
// back:
//
//	store := daybook.New(memory.New(nil), nil)
//	defer store.Close()
//	account := daybook.StreamID{Name: "account-123"}
//	_, err := store.Append(ctx, account, daybook.ExpectNone(),
//		daybook.Event{Type: "opened", Data: []byte(`{"owner":"Ann"}`)})
//	for record, err := range store.ReadStream(ctx, account, daybook.StreamRead{}) {
//		…
//	}
//
// [Store.Append] is the everyday verb: events for one stream. [Store.AppendAll]
// takes everything that an append can carry: several streams, a condition on a
// query, claims, references, an id that makes it repeatable.
//
// What is promised, on every storage:
//
//  1. An append is stored whole or not at all. When it returns without an
//     error its records are as durable as the receipt says and never change.
//  2. An error that matches [ErrRefused] left no trace. After any other error
//     the outcome is unknown: send the same append with the same ID again, and
//     it is either stored now or answered with the receipt of the first time.
//  3. Records come back byte for byte, in the order of their versions within a
//     stream and of their positions within the log.
//  4. Once a reader has seen a position, nothing ever appears at or below it.
//  5. Recorded times never fall along the log.
//  6. What [Store.DeleteStream] has deleted is gone from every read and
//     condition that begins afterwards, and its places are never given again.
//
// The package storage/storagetest proves these for each driver. A program that
// folds streams into decisions should look at the packages above this one
// before it uses the store directly.
package daybook
