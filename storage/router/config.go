package router

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/daybook-go/daybook"
)

// Config is a router as its file describes it:
//
//	{
//	  "stores": [
//	    {"name": "tables", "url": "azuretable:${TABLES};Table=events"},
//	    {"name": "blobs", "url": "azureblob:${BLOBS};Container=events"}
//	  ],
//	  "order": "azuretable:${TABLES};Table=order",
//	  "rules": [
//	    {"streams": "Bank.Account", "store": "tables"},
//	    {"streams": "ALL.ALL", "store": "blobs"}
//	  ]
//	}
//
// ${NAME} in a URL is the variable NAME of the environment, so that keys need
// not stand in the file. In a rule the type stands behind the last dot; of a
// type with a dot, "partition" and "type" are given instead of "streams". A
// rule for ".order" is one for the partition "". See New and Rule.
type Config struct {
	Stores []ConfigStore `json:"stores"`
	// Order is the URL of the store that keeps the order; with one store it is
	// empty.
	Order string       `json:"order,omitempty"`
	Rules []ConfigRule `json:"rules"`
	// TrustIDs is Options.TrustIDs.
	TrustIDs bool `json:"trust_ids,omitempty"`
}

// ConfigStore is a Member, by the URL of its storage.
type ConfigStore struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// ConfigRule is a Rule: with Streams, or with Partition and Type.
type ConfigRule struct {
	Streams   string  `json:"streams,omitempty"`
	Partition *string `json:"partition,omitempty"`
	Type      *string `json:"type,omitempty"`
	Store     string  `json:"store"`
}

// Opener opens the storage at a URL.
type Opener func(ctx context.Context, url string) (daybook.Driver, error)

// Open opens the store that a file describes: the URL is "router:" and the name
// of the file, see Config. URLs in the file are opened by open, in the order in
// which they stand there. Of options, TrustIDs holds also where the file asks
// for it.
//
// *daybook.InvalidError for a file that is wrong, the error of the file system
// for one that cannot be read, and that of open for a storage. No error shows
// the URL of a storage, which may hold a key.
func Open(ctx context.Context, url string, open Opener, options *Options) (*Driver, error) {
	name, ok := strings.CutPrefix(url, "router:")
	if !ok || name == "" {
		return nil, &daybook.InvalidError{Field: "url", Value: fmt.Sprintf("%q", url), Reason: "must be router:FILE"}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	config, err := ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	driver, err := config.open(ctx, open, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return driver, nil
}

// ParseConfig reads a configuration and checks all that can be checked without
// opening a storage. *daybook.InvalidError for what is wrong, also for a field
// that is not known.
func ParseConfig(text []byte) (Config, error) {
	var config Config
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&config); err != nil {
		return Config{}, &daybook.InvalidError{Field: "configuration", Value: "not as it must be", Reason: err.Error()}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Config{}, &daybook.InvalidError{Field: "configuration", Value: "more than one document", Reason: "nothing may stand behind it"}
	}
	_, err := config.check()
	return config, err
}

// check returns the rules, or what is wrong.
func (c *Config) check() ([]Rule, error) {
	members := make([]Member, len(c.Stores))
	for i, s := range c.Stores {
		if s.URL == "" {
			return nil, &daybook.InvalidError{Field: fmt.Sprintf("stores[%d].url", i), Value: `""`, Reason: "must not be empty"}
		}
		members[i] = Member{Name: s.Name, Driver: unopened{}}
	}
	if err := checkMembers(members, c.Order != ""); err != nil {
		return nil, err
	}
	rules := make([]Rule, len(c.Rules))
	for i, r := range c.Rules {
		var err error
		if rules[i], err = r.rule(fmt.Sprintf("rules[%d]", i)); err != nil {
			return nil, err
		}
	}
	_, err := newTable(members, rules)
	return rules, err
}

// unopened stands for the driver of a store that is not open yet.
type unopened struct{ daybook.Driver }

func (r *ConfigRule) rule(field string) (Rule, error) {
	switch {
	case r.Streams != "" && (r.Partition != nil || r.Type != nil):
		return Rule{}, &daybook.InvalidError{Field: field, Value: fmt.Sprintf("%q", r.Streams), Reason: `has "streams" and besides "partition" or "type"`}
	case r.Streams != "":
		partition, kind, ok := parseStreams(r.Streams)
		if !ok {
			return Rule{}, &daybook.InvalidError{Field: field + ".streams", Value: fmt.Sprintf("%q", r.Streams), Reason: `must be "partition.type", with ALL for any of them`}
		}
		return Rule{Partition: partition, Type: kind, Store: r.Store}, nil
	case r.Partition == nil || r.Type == nil:
		return Rule{}, &daybook.InvalidError{Field: field, Value: "without streams", Reason: `must have "streams", or "partition" and "type"`}
	}
	return Rule{Partition: *r.Partition, Type: *r.Type, Store: r.Store}, nil
}

// open opens the storages of a configuration and the router over them.
func (c *Config) open(ctx context.Context, open Opener, options *Options) (*Driver, error) {
	rules, err := c.check()
	if err != nil {
		return nil, err
	}
	var settings Options
	if options != nil {
		settings = *options
	}
	settings.TrustIDs = settings.TrustIDs || c.TrustIDs
	var opened []daybook.Driver
	give := func(what, url string) (daybook.Driver, error) {
		url, err := expand(what, url)
		if err != nil {
			return nil, err
		}
		driver, err := open(ctx, url)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		opened = append(opened, driver)
		return driver, nil
	}
	members := make([]Member, len(c.Stores))
	for i, s := range c.Stores {
		members[i].Name = s.Name
		if members[i].Driver, err = give(fmt.Sprintf("stores[%d] (%s)", i, s.Name), s.URL); err != nil {
			return nil, closing(err, opened)
		}
	}
	var keeper daybook.Driver
	if c.Order != "" {
		if keeper, err = give("order", c.Order); err != nil {
			return nil, closing(err, opened)
		}
	}
	return New(ctx, members, rules, keeper, &settings)
}

// closing closes what was opened before an error.
func closing(err error, opened []daybook.Driver) error {
	for _, driver := range opened {
		err = errors.Join(err, driver.Close())
	}
	return err
}

var variables = regexp.MustCompile(`\$\{[^}]*\}`)

// expand puts variables of the environment into a URL.
func expand(what, url string) (string, error) {
	var missing error
	expanded := variables.ReplaceAllStringFunc(url, func(use string) string {
		name := use[2 : len(use)-1]
		value, ok := os.LookupEnv(name)
		if !ok && missing == nil {
			missing = &daybook.InvalidError{Field: what, Value: use, Reason: "is a variable that the environment does not have"}
		}
		return value
	})
	return expanded, missing
}
