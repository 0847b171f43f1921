package main

import (
	"testing"
	"time"

	"github.com/daybook-go/daybook/daytest"
)

var (
	noon = time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)
	one  = noon.Add(time.Hour)
)

// What can be asked of a product is tested without a store: by what was given,
// asked and decided.
func TestAProductIsHeldAsLongAsThereIsStock(t *testing.T) {
	product := daytest.Decider[Product, ProductCommand, ProductEvent](products)
	lamps := []ProductEvent{Listed{"Lamp", 100}, Stocked{3}}

	product.Given(t).When(hold("ann", 1, noon, one)).ThenError(errNoSuchProduct)
	product.Given(t, lamps...).When(hold("ann", 4, noon, one)).ThenError(errOutOfStock)
	product.Given(t, lamps...).
		When(hold("ann", 2, noon, one)).Then(Held{"ann", 2, one}).
		And().When(hold("bob", 2, noon, one)).ThenError(errOutOfStock).
		And().When(hold("bob", 1, noon, one)).Then(Held{"bob", 1, one}).
		And().When(hold("ann", 1, noon, one)).Then(Held{"ann", 1, one}).
		And().When(hold("bob", 2, noon, one)).Then(Held{"bob", 2, one}).
		And().When(release("ann")).Then(Released{"ann"}).
		And().When(release("ann")).Then().
		ThenState(Product{Name: "Lamp", PriceCents: 100, Stock: 3, Holds: map[string]Hold{"bob": {2, one}}})
}

func TestAHoldThatIsOverMakesRoomWhenSomebodyAsks(t *testing.T) {
	product := daytest.Decider[Product, ProductCommand, ProductEvent](products)
	given := []ProductEvent{Listed{"Lamp", 100}, Stocked{3}, Held{"bob", 1, one}, Held{"ann", 1, one}, Held{"eve", 1, one.Add(time.Minute)}}

	product.Given(t, given...).When(hold("cleo", 1, one.Add(-time.Microsecond), one)).ThenError(errOutOfStock)
	product.Given(t, given...).When(hold("cleo", 2, one, one.Add(time.Hour))).
		Then(Lapsed{"ann"}, Lapsed{"bob"}, Held{"cleo", 2, one.Add(time.Hour)}).
		And().When(sell("bob", 1, one)).ThenError(errLapsed).
		And().When(sell("cleo", 2, one)).Then(Sold{"cleo", 2}).
		ThenState(Product{Name: "Lamp", PriceCents: 100, Stock: 1, Holds: map[string]Hold{"eve": {1, one.Add(time.Minute)}}})
	product.Given(t, given...).When(sell("bob", 1, one)).ThenError(errLapsed)
	product.Given(t, given...).When(sell("bob", 2, noon)).ThenError(errLapsed)
}

func TestABasketIsCheckedOutOnce(t *testing.T) {
	basket := daytest.Decider[Basket, BasketCommand, BasketEvent](baskets)
	lamp := Item{"lamp", "Lamp", 1, 100, one}

	basket.Given(t).When(putIn(lamp)).ThenError(errNoSuchBasket)
	basket.Given(t).When(begin).Then(Begun{}).And().When(begin).Then()
	basket.Given(t, Begun{}).When(checkOut).ThenError(errEmpty)
	basket.Given(t, Begun{}).
		When(putIn(lamp)).Then(PutIn{lamp}).
		And().When(takeOut("lamp")).Then(TakenOut{"lamp"}).
		And().When(takeOut("lamp")).Then().
		And().When(putIn(lamp)).Then(PutIn{lamp}).
		And().When(checkOut).Then(CheckedOut{}).
		And().When(checkOut).ThenError(errCheckedOut)
}
