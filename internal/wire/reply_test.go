package wire_test

import (
	"errors"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

func TestAReplyMayTellMoreThanTheClientKnowsAndABadOneIsNoRefusal(t *testing.T) {
	head, err := wire.DecodeHead([]byte(`{"stream_id":"a","version":3,"changeset_id":2,"first_version":1,"position":9,"colour":"red"}`))
	if err != nil || head.Version != 3 {
		t.Errorf("a head that tells more is read as %v, %v", head, err)
	}
	for what, decode := range map[string]func() error{
		"receipt": func() error { _, err := wire.DecodeReceipt([]byte(`{"append_id":7}`)); return err },
		"record":  func() error { _, err := wire.DecodeReplyRecord([]byte(`{"position":1}`)); return err },
	} {
		if err := decode(); err == nil || errors.Is(err, daybook.ErrRefused) {
			t.Errorf("a bad %s gives %v, which must be an error and not a refusal", what, err)
		}
	}
}
