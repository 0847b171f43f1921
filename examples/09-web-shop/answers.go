package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
)

// answer is what a request gets.
type answer struct {
	status   int // 0 is 200
	location string
	body     any
}

func (a answer) write(w http.ResponseWriter) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "    ")
	if err := encoder.Encode(a.body); err != nil {
		panic(err) // texts, numbers and times
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	if a.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(body.Bytes()) // who cannot be reached learns nothing
}

type (
	shownProduct struct {
		Product    string `json:"product"`
		Name       string `json:"name"`
		PriceCents int    `json:"price_cents"`
		Stock      int    `json:"stock"`
		Held       int    `json:"held"`
		Available  int    `json:"available"`
	}
	shownBasket struct {
		Basket     string      `json:"basket"`
		Items      []shownItem `json:"items"`
		TotalCents int         `json:"total_cents"`
		CheckedOut bool        `json:"checked_out"`
	}
	shownItem struct {
		Product    string     `json:"product"`
		Name       string     `json:"name"`
		Quantity   int        `json:"quantity"`
		PriceCents int        `json:"price_cents"`
		HeldUntil  *time.Time `json:"held_until,omitempty"` // not of an order
		Held       *bool      `json:"held,omitempty"`       // not of an order
	}
	shownOrder struct {
		Order      string      `json:"order"`
		PlacedAt   time.Time   `json:"placed_at"`
		Items      []shownItem `json:"items"`
		TotalCents int         `json:"total_cents"`
	}
	shownError struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}
)

func productShown(id string, p Product, now time.Time) shownProduct {
	held := p.heldAt(now, "")
	return shownProduct{Product: id, Name: p.Name, PriceCents: p.PriceCents, Stock: p.Stock, Held: held, Available: p.Stock - held}
}

func basketShown(id string, b Basket, now time.Time) shownBasket {
	shown := shownBasket{Basket: id, Items: []shownItem{}, CheckedOut: b.CheckedOut}
	for _, item := range b.Items {
		one := shownItem{Product: item.Product, Name: item.Name, Quantity: item.Quantity, PriceCents: item.PriceCents}
		if held := now.Before(item.Until); !b.CheckedOut {
			one.HeldUntil, one.Held = &item.Until, &held
		}
		shown.Items = append(shown.Items, one)
		shown.TotalCents += item.Quantity * item.PriceCents
	}
	return shown
}

func orderShown(id string, o Order) shownOrder {
	shown := shownOrder{Order: id, PlacedAt: o.PlacedAt}
	for _, line := range o.Lines {
		shown.Items = append(shown.Items, shownItem{Product: line.Product, Name: line.Name, Quantity: line.Quantity, PriceCents: line.PriceCents})
		shown.TotalCents += line.Quantity * line.PriceCents
	}
	return shown
}

var errTooLarge = fmt.Errorf("the body is larger than %d bytes", maxBody)

// refusals says how a request is answered that was refused. The first row that
// an error matches counts.
var refusals = []struct {
	err    error
	status int
	code   string
}{
	{errInvalid, http.StatusBadRequest, "INVALID_INPUT"},
	{errTooLarge, http.StatusRequestEntityTooLarge, "TOO_LARGE"},
	{errNoSuchPage, http.StatusNotFound, "NOT_FOUND"},
	{errMethod, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED"},
	{errNoSuchProduct, http.StatusNotFound, "NO_SUCH_PRODUCT"},
	{errNoSuchBasket, http.StatusNotFound, "NO_SUCH_BASKET"},
	{errNoSuchOrder, http.StatusNotFound, "NO_SUCH_ORDER"},
	{errListedOtherwise, http.StatusConflict, "LISTED_OTHERWISE"},
	{errOutOfStock, http.StatusConflict, "OUT_OF_STOCK"},
	{errLapsed, http.StatusConflict, "RESERVATION_ENDED"},
	{errFull, http.StatusConflict, "BASKET_FULL"},
	{errEmpty, http.StatusConflict, "BASKET_EMPTY"},
	{errCheckedOut, http.StatusConflict, "CHECKED_OUT"},
	{errKeyReused, http.StatusUnprocessableEntity, "IDEMPOTENCY_KEY_REUSED"},
	{daybook.ErrInvalid, http.StatusBadRequest, "INVALID_INPUT"}, // an id that no stream can have
	{daybook.ErrFull, http.StatusInsufficientStorage, "STORAGE_FULL"},
}

// refusal is the answer to a request that failed. What is nobody's fault but
// ours goes to the log.
func refusal(r *http.Request, err error) answer {
	for _, row := range refusals {
		if errors.Is(err, row.err) {
			return answer{status: row.status, body: shownError{row.code, err.Error()}}
		}
	}
	if errors.Is(err, daybook.ErrConflict) {
		return answer{status: http.StatusServiceUnavailable, body: shownError{"BUSY", "too many want the same; nothing was done, try again"}}
	}
	if r.Context().Err() == nil { // whoever has gone is not waited for
		slog.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	var unknown *aggregate.UnknownOutcomeError
	if errors.As(err, &unknown) {
		return answer{status: http.StatusServiceUnavailable, body: shownError{"UNKNOWN_OUTCOME", "the shop cannot tell whether this was done; send it again with the same Idempotency-Key"}}
	}
	return answer{status: http.StatusInternalServerError, body: shownError{"INTERNAL", "the shop could not do it, and its log says why"}}
}

// bodyOf returns the body of a request, which is one JSON object with the
// fields of T and no others.
func bodyOf[T any](r *http.Request) (T, error) {
	var body T
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&body)
	if err == nil {
		if _, err = decoder.Token(); err == io.EOF {
			return body, nil
		}
	}
	var wrong *json.UnmarshalTypeError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return body, errTooLarge
	case errors.As(err, &wrong) && wrong.Field != "":
		return body, fmt.Errorf("%w: %s: must be a %s (it is a %s)", errInvalid, wrong.Field, kindInWords(wrong.Type), wrong.Value)
	case err == io.EOF:
		return body, fmt.Errorf("%w: the body must be a JSON object, and is empty", errInvalid)
	case err == nil:
		return body, fmt.Errorf("%w: the body must be one JSON object, and there is something behind it", errInvalid)
	}
	return body, fmt.Errorf("%w: the body must be a JSON object: %s", errInvalid, strings.TrimPrefix(err.Error(), "json: "))
}

func kindInWords(t reflect.Type) string {
	if t.Kind() == reflect.String {
		return "text"
	}
	return "whole number"
}
