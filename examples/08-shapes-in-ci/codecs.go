package main

import (
	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

// The codecs are those of the program that is about to be released; here they
// stand in for them.
type (
	accountEvent interface{ accountEvent() }
	opened       struct{ Owner string }
	deposited    struct{ Cents int64 } // an Amount with decimals until last week
)

func (opened) accountEvent()    {}
func (deposited) accountEvent() {}

// uses says which codec the program has for which records. With
// withStep, somebody has remembered the old deposits.
func uses(withStep bool) ([]codec.Use, error) {
	type depositedV1 struct{ Amount float64 }
	entries := []codec.Entry{
		codec.Event[opened]("opened"),
		codec.Event[deposited]("deposited", codec.Schema("2")),
	}
	if withStep {
		entries = append(entries, codec.Upcast("deposited", "", func(old depositedV1) deposited {
			return deposited{int64(old.Amount*100 + 0.5)}
		}))
	}
	accounts, err := codec.New[accountEvent](entries...)
	return []codec.Use{{Codec: accounts, Filter: daybook.Filter{StreamTypes: []string{"account"}}}}, err
}
