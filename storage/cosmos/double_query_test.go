package cosmos_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// doQuery answers a query. [rest] query-documents; the language is the part of
// [docs] query/getting-started that the driver uses.
func (a *answer) doQuery(c *dContainer) *doubleError {
	if a.request.Header.Get("Content-Type") != "application/query+json" {
		return failWith(400, "BadRequest", "the content type of a query is application/query+json")
	}
	var asked struct {
		Query      string
		Parameters []struct {
			Name  string
			Value any
		}
	}
	if err := json.Unmarshal(a.body, &asked); err != nil {
		return failWith(400, "BadRequest", "%v", err)
	}
	values := map[string]any{}
	for _, p := range asked.Parameters {
		values[p.Name] = p.Value
	}
	q, err := parseQuery(asked.Query, values)
	if err != nil {
		return failWith(400, "BadRequest", "%q: %v", asked.Query, err)
	}
	across := a.request.Header.Get("x-ms-documentdb-partitionkey") == ""
	if across && (q.order != nil || q.top > 0) {
		// [rest] querying-cosmosdb-resources-using-the-rest-api, queries that cannot be served by gateway
		return failWith(400, "BadRequest", "a query across partitions with TOP or ORDER BY cannot be served by the gateway")
	}
	var found []*dItem
	bodies := map[*dItem]*dVersion{}
	for _, r := range c.ranges {
		state := a.state(r)
		for name, items := range r.partitions {
			if !across && name != a.partition() {
				continue
			}
			a.tell(r, state)
			for _, i := range items {
				if v := i.at(state); v != nil && truth(q.where(v.body)) && (q.order == nil || isOrdered(q.order(v.body))) {
					found, bodies[i] = append(found, i), v
				}
			}
		}
	}
	slices.SortFunc(found, func(x, y *dItem) int { return q.compare(bodies[x].body, bodies[y].body, x.serial, y.serial) })
	return a.page(q, found, bodies)
}

// page gives a page of what was found. [rest] common-cosmosdb-rest-response-headers,
// x-ms-continuation; [docs] query/pagination: at most 4 MB, maybe none, and the
// number of items is no more than asked for, 100 where nothing is asked for.
func (a *answer) page(q *dQuery, found []*dItem, bodies map[*dItem]*dVersion) *doubleError {
	from := dMark{}
	if token := a.request.Header.Get("x-ms-continuation"); token != "" {
		if err := json.Unmarshal([]byte(token), &from); err != nil {
			return failWith(400, "BadRequest", "the continuation is not understood")
		}
		found = slices.DeleteFunc(found, func(i *dItem) bool {
			if from.Serial == 0 {
				return false // the pages so far were empty
			}
			var at any
			if q.order != nil {
				at = q.order(bodies[i].body)
			}
			return q.compareMarks(dMark{At: at, Serial: i.serial}, from) <= 0
		})
	}
	limit, _ := strconv.Atoi(a.request.Header.Get("x-ms-max-item-count"))
	if limit == 0 {
		limit = 100
	}
	if a.double.choppy {
		if a.double.ticks++; a.double.ticks%4 == 0 {
			limit = min(max(limit, 1), int(a.double.ticks/4%9))
		}
	}
	documents, bytes, given := []any{}, 0, from.Given
	for _, i := range found {
		v := bodies[i]
		if limit >= 0 && len(documents) >= limit || bytes+v.size > 4<<20 && bytes > 0 || q.top > 0 && given == q.top {
			break
		}
		documents = append(documents, q.project(v.body))
		bytes, given = bytes+v.size, given+1
		from.Serial = i.serial
		if q.order != nil {
			from.At = q.order(v.body)
		}
	}
	if from.Given = given; len(documents) < len(found) && (q.top == 0 || given < q.top) {
		token, _ := json.Marshal(from)
		a.header.Set("x-ms-continuation", string(token))
	}
	a.charge = 2.3 + float64(bytes)/2048
	a.give(200, map[string]any{"_rid": "rid", "Documents": documents, "_count": len(documents)})
	return nil
}

// dMark is where a page ended.
type dMark struct {
	At     any
	Serial int
	Given  int
}

// dQuery is a query that was understood.
type dQuery struct {
	top     int
	project func(body map[string]any) any
	where   expression
	order   expression // nil is none
	down    bool
}

// expression returns a value for an item; undefined where it has none.
type expression func(body map[string]any) any

// undefined is the value of what is not there. [docs] query/null-undefined
type undefined struct{}

func truth(v any) bool { b, ok := v.(bool); return ok && b }

func isOrdered(v any) bool { _, none := v.(undefined); return !none }

func (q *dQuery) compare(x, y map[string]any, xSerial, ySerial int) int {
	var xAt, yAt any
	if q.order != nil {
		xAt, yAt = q.order(x), q.order(y)
	}
	return q.compareMarks(dMark{At: xAt, Serial: xSerial}, dMark{At: yAt, Serial: ySerial})
}

func (q *dQuery) compareMarks(x, y dMark) int {
	c := 0
	if q.order != nil {
		c = compareValues(x.At, y.At)
	}
	c = cmp.Or(c, cmp.Compare(x.Serial, y.Serial))
	if q.down {
		return -c
	}
	return c
}

// compareValues orders values of one type. [docs] query/order-by
func compareValues(x, y any) int {
	switch x := x.(type) {
	case float64:
		if y, ok := y.(float64); ok {
			return cmp.Compare(x, y)
		}
	case string:
		if y, ok := y.(string); ok {
			return strings.Compare(x, y)
		}
	}
	return strings.Compare(fmt.Sprintf("%T", x), fmt.Sprintf("%T", y))
}

var tokens = regexp.MustCompile(`^\s*('[^']*'|[A-Za-z_@][A-Za-z0-9_@]*|-?[0-9.]+|<=|>=|!=|[=<>(),.*])`)

// parser reads a query, token by token.
type parser struct {
	rest   string
	token  string
	values map[string]any
	err    error
}

func parseQuery(text string, values map[string]any) (q *dQuery, err error) {
	p := &parser{rest: text, values: values}
	p.next()
	q = &dQuery{where: func(map[string]any) any { return true }}
	p.want("SELECT")
	if p.take("TOP") {
		q.top, p.err = strconv.Atoi(p.token)
		p.next()
	}
	q.project = p.projection()
	p.want("FROM")
	p.want("c")
	if p.take("WHERE") {
		q.where = p.or()
	}
	if p.take("ORDER") {
		p.want("BY")
		q.order = p.path()
		if q.down = p.take("DESC"); !q.down {
			p.take("ASC")
		}
	}
	if p.err == nil && p.token != "" {
		p.err = fmt.Errorf("%q is not understood", p.token+p.rest)
	}
	return q, p.err
}

func (p *parser) next() {
	m := tokens.FindStringSubmatch(p.rest)
	if m == nil {
		if strings.TrimSpace(p.rest) != "" && p.err == nil {
			p.err = fmt.Errorf("%q is not understood", p.rest)
		}
		p.token, p.rest = "", ""
		return
	}
	p.token, p.rest = m[1], p.rest[len(m[0]):]
}

func (p *parser) take(word string) bool {
	if !strings.EqualFold(p.token, word) {
		return false
	}
	p.next()
	return true
}

func (p *parser) want(word string) {
	if !p.take(word) && p.err == nil {
		p.err = fmt.Errorf("%q where %q should be", p.token, word)
	}
}

// projection reads what a query gives: * or paths, each under its last name.
func (p *parser) projection() func(map[string]any) any {
	if p.take("*") {
		return func(body map[string]any) any { return body }
	}
	var names []string
	var paths []expression
	for {
		before := p.token + p.rest
		path := p.path()
		taken := strings.Split(strings.TrimSpace(strings.TrimSuffix(before, p.token+p.rest)), ".")
		names, paths = append(names, strings.TrimSpace(strings.Trim(taken[len(taken)-1], ", "))), append(paths, path)
		if !p.take(",") {
			break
		}
	}
	return func(body map[string]any) any {
		given := map[string]any{}
		for i, path := range paths {
			if v := path(body); isOrdered(v) {
				given[names[i]] = v
			}
		}
		return given
	}
}

func (p *parser) path() expression {
	p.want("c")
	var names []string
	for p.token == "." {
		p.next()
		names = append(names, p.token)
		p.next()
	}
	return func(body map[string]any) any {
		var at any = body
		for _, name := range names {
			holder, ok := at.(map[string]any)
			if !ok {
				return undefined{}
			}
			if at, ok = holder[name]; !ok {
				return undefined{}
			}
		}
		return at
	}
}

func (p *parser) or() expression {
	x := p.and()
	for p.take("OR") {
		left, right := x, p.and()
		x = func(b map[string]any) any { return truth(left(b)) || truth(right(b)) }
	}
	return x
}

func (p *parser) and() expression {
	x := p.not()
	for p.take("AND") {
		left, right := x, p.not()
		x = func(b map[string]any) any { return truth(left(b)) && truth(right(b)) }
	}
	return x
}

func (p *parser) not() expression {
	if p.take("NOT") {
		x := p.not()
		return func(b map[string]any) any {
			if v, ok := x(b).(bool); ok {
				return !v
			}
			return undefined{}
		}
	}
	return p.comparison()
}

// comparison reads x < y, x IN (…), a function, or what stands in brackets.
// Values of different types do not compare. [docs] query/equality-comparison-operators
func (p *parser) comparison() expression {
	if p.take("(") {
		x := p.or()
		p.want(")")
		return x
	}
	x := p.operand()
	if p.take("IN") {
		p.want("(")
		var list []expression
		for p.err == nil {
			list = append(list, p.operand())
			if !p.take(",") {
				break
			}
		}
		p.want(")")
		return func(b map[string]any) any {
			v := x(b)
			return slices.ContainsFunc(list, func(e expression) bool { return truth(compared("=", v, e(b))) })
		}
	}
	operator := p.token
	if !slices.Contains([]string{"=", "!=", "<", "<=", ">", ">="}, operator) {
		return x
	}
	p.next()
	y := p.operand()
	return func(b map[string]any) any { return compared(operator, x(b), y(b)) }
}

func compared(operator string, x, y any) any {
	if fmt.Sprintf("%T", x) != fmt.Sprintf("%T", y) || !isOrdered(x) {
		return undefined{}
	}
	c := compareValues(x, y)
	switch operator {
	case "=":
		return c == 0 && x == y
	case "!=":
		return x != y
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	default:
		return c >= 0
	}
}

// operand reads a path, a literal, a parameter, or a function of them. [docs]
// query/is-defined, query/startswith
func (p *parser) operand() expression {
	token := p.token
	constant := func(v any) expression {
		p.next()
		return func(map[string]any) any { return v }
	}
	switch {
	case token == "c":
		return p.path()
	case strings.HasPrefix(token, "'"):
		return constant(strings.Trim(token, "'"))
	case strings.HasPrefix(token, "@"):
		v, ok := p.values[token]
		if !ok && p.err == nil {
			p.err = fmt.Errorf("no parameter %s", token)
		}
		return constant(v)
	case strings.EqualFold(token, "IS_DEFINED"):
		p.next()
		p.want("(")
		x := p.path()
		p.want(")")
		return func(b map[string]any) any { return isOrdered(x(b)) }
	case strings.EqualFold(token, "STARTSWITH"):
		p.next()
		p.want("(")
		x := p.operand()
		p.want(",")
		y := p.operand()
		p.want(")")
		return func(b map[string]any) any {
			text, ok := x(b).(string)
			prefix, isText := y(b).(string)
			if !ok || !isText {
				return undefined{}
			}
			return strings.HasPrefix(text, prefix)
		}
	}
	if number, err := strconv.ParseFloat(token, 64); err == nil {
		return constant(number)
	}
	if p.err == nil {
		p.err = fmt.Errorf("%q is not understood", token)
	}
	return constant(nil)
}

var _ http.Handler = (*double)(nil)
