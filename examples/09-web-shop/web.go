package main

import (
	"errors"
	"fmt"
	"net/http"
)

const maxBody = 64 << 10

// newWeb returns the shop as a handler.
func newWeb(shop *Shop) http.Handler {
	w := &web{shop: shop, mux: http.NewServeMux()}
	w.handle("PUT /products/{product}", w.listProduct)
	w.handle("GET /products/{product}", w.showProduct)
	w.handle("POST /products/{product}/stock", w.stockProduct)
	w.handle("POST /baskets", w.beginBasket)
	w.handle("GET /baskets/{basket}", w.showBasket)
	w.handle("PUT /baskets/{basket}/items/{product}", w.putItem)
	w.handle("DELETE /baskets/{basket}/items/{product}", w.takeItem)
	w.handle("POST /baskets/{basket}/checkout", w.checkOut)
	w.handle("GET /orders/{order}", w.showOrder)
	return w
}

type web struct {
	shop *Shop
	mux  *http.ServeMux
}

// listing and amount are the bodies of requests.
type (
	listing struct {
		Name       string `json:"name"`
		PriceCents int    `json:"price_cents"`
	}
	amount struct {
		Quantity int `json:"quantity"`
	}
)

func (w *web) listProduct(r *http.Request) (answer, error) {
	body, err := bodyOf[listing](r)
	if err != nil {
		return answer{}, err
	}
	id := r.PathValue("product")
	product, err := w.shop.List(r.Context(), requestOf(r, body), id, body.Name, body.PriceCents)
	return answer{body: productShown(id, product, w.shop.time())}, err
}

func (w *web) showProduct(r *http.Request) (answer, error) {
	id := r.PathValue("product")
	product, err := w.shop.Product(r.Context(), id)
	return answer{body: productShown(id, product, w.shop.time())}, err
}

func (w *web) stockProduct(r *http.Request) (answer, error) {
	body, err := bodyOf[amount](r)
	if err != nil {
		return answer{}, err
	}
	id := r.PathValue("product")
	product, err := w.shop.Stock(r.Context(), requestOf(r, body), id, body.Quantity)
	return answer{body: productShown(id, product, w.shop.time())}, err
}

func (w *web) beginBasket(r *http.Request) (answer, error) {
	id, err := w.shop.Begin(r.Context(), requestOf(r, nil))
	if err != nil {
		return answer{}, err
	}
	shown, err := w.basket(r, id)
	shown.status, shown.location = http.StatusCreated, "/baskets/"+id
	return shown, err
}

func (w *web) showBasket(r *http.Request) (answer, error) { return w.basket(r, r.PathValue("basket")) }

func (w *web) basket(r *http.Request, id string) (answer, error) {
	basket, err := w.shop.Basket(r.Context(), id)
	return answer{body: basketShown(id, basket, w.shop.time())}, err
}

func (w *web) putItem(r *http.Request) (answer, error) {
	body, err := bodyOf[amount](r)
	if err != nil {
		return answer{}, err
	}
	basket := r.PathValue("basket")
	if err := w.shop.Put(r.Context(), requestOf(r, body), basket, r.PathValue("product"), body.Quantity); err != nil {
		return answer{}, err
	}
	return w.basket(r, basket)
}

func (w *web) takeItem(r *http.Request) (answer, error) {
	basket := r.PathValue("basket")
	if err := w.shop.Take(r.Context(), requestOf(r, nil), basket, r.PathValue("product")); err != nil {
		return answer{}, err
	}
	return w.basket(r, basket)
}

func (w *web) checkOut(r *http.Request) (answer, error) {
	basket := r.PathValue("basket")
	if err := w.shop.CheckOut(r.Context(), requestOf(r, nil), basket); err != nil {
		return answer{}, err
	}
	shown, err := w.order(r, basket)
	shown.status, shown.location = http.StatusCreated, "/orders/"+basket
	return shown, err
}

func (w *web) showOrder(r *http.Request) (answer, error) { return w.order(r, r.PathValue("order")) }

func (w *web) order(r *http.Request, id string) (answer, error) {
	order, err := w.shop.Order(r.Context(), id)
	return answer{body: orderShown(id, order)}, err
}

// requestOf returns a request as the shop knows it.
func requestOf(r *http.Request, body any) Request {
	return Request{Key: r.Header.Get("Idempotency-Key"), Path: r.Method + " " + r.URL.Path, Body: body}
}

func checkKey(r *http.Request) error {
	keys := r.Header.Values("Idempotency-Key")
	switch {
	case len(keys) > 1:
		return fmt.Errorf("%w: Idempotency-Key: must be given once (there are %d)", errInvalid, len(keys))
	case len(keys) == 1 && (keys[0] == "" || len(keys[0]) > maxKey):
		return fmt.Errorf("%w: Idempotency-Key: must have 1 to %d bytes (it has %d)", errInvalid, maxKey, len(keys[0]))
	}
	return nil
}

// handle has the requests of a pattern answered in JSON.
func (w *web) handle(pattern string, do func(r *http.Request) (answer, error)) {
	w.mux.HandleFunc(pattern, func(writer http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(writer, r.Body, maxBody)
		shown, err := answer{}, checkKey(r)
		if err == nil {
			shown, err = do(r)
		}
		if err != nil {
			shown = refusal(r, err)
		}
		shown.write(writer)
	})
}

var (
	errNoSuchPage = errors.New("there is nothing here; see README.md for what there is")
	errMethod     = errors.New("the method does not fit the path; the header Allow says which do")
)

// ServeHTTP answers in JSON also what no pattern is for.
func (w *web) ServeHTTP(writer http.ResponseWriter, r *http.Request) {
	handler, pattern := w.mux.Handler(r)
	if pattern != "" {
		w.mux.ServeHTTP(writer, r)
		return
	}
	refused := silent{header: http.Header{}}
	handler.ServeHTTP(&refused, r)
	err := errNoSuchPage
	if refused.status == http.StatusMethodNotAllowed {
		err = errMethod
		writer.Header().Set("Allow", refused.header.Get("Allow"))
	}
	refusal(r, err).write(writer)
}

// silent takes the status and the header of an answer, and no body.
type silent struct {
	header http.Header
	status int
}

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) WriteHeader(status int)      { s.status = status }
func (s *silent) Write(b []byte) (int, error) { return len(b), nil }
