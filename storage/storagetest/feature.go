package storagetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// Feature is a part of the contract. Those up to Closing every driver offers;
// the others it may leave out.
type Feature string

// The features, in the order of the suite.
const (
	Appending Feature = "appending"
	Expecting Feature = "expecting"
	Repeating Feature = "repeating"
	Reading   Feature = "reading"
	Filtering Feature = "filtering"
	Contents  Feature = "contents"
	Order     Feature = "order"
	Histories Feature = "histories"
	Closing   Feature = "closing"

	SeveralStreams Feature = "several streams"
	Conditions     Feature = "conditions"
	Claims         Feature = "claims"
	ClaimLookup    Feature = "claim lookup"
	References     Feature = "references"
	Waiting        Feature = "waiting"
	ListingStreams Feature = "listing streams"
	Statistics     Feature = "statistics"
	Importing      Feature = "importing"
	Deleting       Feature = "deleting"
	Reopening      Feature = "reopening"
)

// acrossPartitions is the part of SeveralStreams that a driver may leave out
// whose storage keeps each partition for itself.
const acrossPartitions Feature = "appends to several partitions"

var features = []Feature{
	Appending, Expecting, Repeating, Reading, Filtering, Contents, Order, Histories, Closing,
	SeveralStreams, Conditions, Claims, ClaimLookup, References, Waiting, ListingStreams, Statistics, Importing, Deleting, Reopening,
}

// Features returns all features, in the order of the suite.
func Features() []Feature { return append([]Feature(nil), features...) }

// line names a promise in the file of results.
func (f Feature) line(promise string) string { return string(f) + ": " + promise }

// trial asks a fresh store for a feature. The error is that of the asking.
type trial func(ctx context.Context, b *book) error

// appendTrials are appends that carry what a driver may leave out.
var appendTrials = map[Feature]func(b *book) daybook.Append{
	SeveralStreams: func(*book) daybook.Append {
		return daybook.Append{Changesets: []daybook.Changeset{changeset("several-1", "tried"), changeset("several-2", "tried")}}
	},
	acrossPartitions: func(*book) daybook.Append {
		north := daybook.Changeset{Stream: daybook.StreamID{Partition: "north", Name: "several-2"}, Events: events("tried")}
		return daybook.Append{Changesets: []daybook.Changeset{changeset("several-1", "tried"), north}}
	},
	Conditions: func(*book) daybook.Append {
		return daybook.Append{
			Changesets: []daybook.Changeset{changeset("condition-1", "tried")},
			Condition:  &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"nothing"}}}}},
		}
	},
	Claims: func(*book) daybook.Append {
		c := changeset("claim-1", "tried")
		c.Claims = []daybook.Claim{{Kind: "trial", Value: "1"}}
		return daybook.Append{Changesets: []daybook.Changeset{c}}
	},
	References: func(*book) daybook.Append {
		c := changeset("reference-1", "tried")
		c.References = []daybook.StreamID{c.Stream}
		return daybook.Append{Changesets: []daybook.Changeset{c}}
	},
}

// trials are the ways to ask for each feature that a driver may leave out.
func trials() map[Feature]trial {
	all := map[Feature]trial{
		ClaimLookup: func(ctx context.Context, b *book) error {
			_, _, err := b.ClaimHolder(ctx, "", daybook.Claim{Kind: "trial", Value: "1"})
			return err
		},
		Waiting: func(ctx context.Context, b *book) error {
			waiter, ok := b.driver.(daybook.Waiter)
			if !ok {
				return &daybook.UnsupportedError{Driver: b.Name(), Feature: "waiting"}
			}
			ended, cancel := context.WithCancel(ctx)
			cancel()
			answer := make(chan error, 1)
			go func() { answer <- waiter.Wait(ended, 0) }()
			select {
			case err := <-answer:
				return err
			case <-time.After(b.s.patience):
				return nil // it waits, and does not heed its context
			}
		},
		ListingStreams: func(ctx context.Context, b *book) error {
			for _, err := range b.ListStreams(ctx, daybook.StreamList{}) {
				return err
			}
			return nil
		},
		Statistics: func(ctx context.Context, b *book) error {
			_, err := b.Stats(ctx)
			return err
		},
		Importing: func(ctx context.Context, b *book) error {
			return b.Import(ctx, recorded("import-1", 1, 1, 1, 1))
		},
	}
	all[Deleting] = func(ctx context.Context, b *book) error {
		_, err := b.DeleteStream(ctx, deletion("deletion-1", 0))
		return err
	}
	for feature, demand := range appendTrials {
		all[feature] = func(ctx context.Context, b *book) error {
			_, err := b.AppendAll(ctx, demand(b))
			return err
		}
	}
	return all
}

// offers remembers which features a driver has been found to offer.
type offers map[Feature]bool

// offered reports whether the driver offers a feature: by asking for it.
func (s *subject) offered(feature Feature) bool {
	try, optional := trials()[feature]
	if !optional {
		return true
	}
	if known, ok := s.offers[feature]; ok {
		return known
	}
	b := s.book()
	defer b.close()
	s.offers[feature] = !errors.Is(try(s.Context(), b), daybook.ErrUnsupported)
	return s.offers[feature]
}

// need ends the check where the driver does not offer all of the features.
func (s *subject) need(features ...Feature) {
	s.Helper()
	for _, feature := range features {
		if !s.offered(feature) {
			s.Skipf("not offered: %s", feature)
		}
	}
}

// refusal returns what is wrong with how a driver says that it lacks a
// feature, if anything is.
func refusal(err error) error {
	var unsupported *daybook.UnsupportedError
	switch {
	case !errors.As(err, &unsupported):
		return fmt.Errorf("the error matches ErrUnsupported but is no *UnsupportedError: %w", err)
	case unsupported.Driver == "" || unsupported.Feature == "":
		return fmt.Errorf("the error names driver %q and feature %q; it must name both", unsupported.Driver, unsupported.Feature)
	}
	return nil
}
